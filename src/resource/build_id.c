// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/build_id.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 256
#define NOTES_MAX    65536u

static bool read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return offset <= INT64_MAX &&
	       pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* Notes: header, name, contents, each padded to four bytes. */
static size_t find_in_notes(const uint8_t *notes, size_t len,
			    uint8_t ret[BUILD_ID_MAX])
{
	size_t pos = 0;
	Elf64_Nhdr note;

	while (pos + sizeof(note) <= len) {
		size_t name, desc;

		memcpy(&note, notes + pos, sizeof(note));
		if (note.n_namesz > len || note.n_descsz > len)
			return 0;
		name = pos + sizeof(note);
		desc = name + padded(note.n_namesz);
		if (desc + note.n_descsz > len)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp(notes + name, "GNU", 4) &&
		    note.n_descsz <= BUILD_ID_MAX) {
			memcpy(ret, notes + desc, note.n_descsz);
			return note.n_descsz;
		}
		pos = desc + padded(note.n_descsz);
	}
	return 0;
}

static size_t find_in_segment(int fd, const Elf64_Phdr *segment,
			      uint8_t ret[BUILD_ID_MAX])
{
	uint8_t notes[4096];
	size_t len = segment->p_filesz;

	if (segment->p_type != PT_NOTE || segment->p_filesz > NOTES_MAX)
		return 0;
	if (len > sizeof(notes))
		len = sizeof(notes);
	if (!read_at(fd, notes, len, segment->p_offset))
		return 0;
	return find_in_notes(notes, len, ret);
}

size_t build_id_read(int fd, uint8_t ret[BUILD_ID_MAX])
{
	Elf64_Phdr segment;
	Elf64_Ehdr head;
	size_t len = 0;

	if (!read_at(fd, &head, sizeof(head), 0) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_phentsize != sizeof(segment) || head.e_phnum > SEGMENTS_MAX)
		return 0;
	for (unsigned int i = 0; i < head.e_phnum && !len; i++)
		if (read_at(fd, &segment, sizeof(segment),
			    head.e_phoff + i * sizeof(segment)))
			len = find_in_segment(fd, &segment, ret);
	return len;
}
