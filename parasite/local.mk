# Freestanding: its own flags, never instrumented.  See puppet.h.
pkglibexec_PROGRAMS += jobcr-puppet
jobcr_puppet_SOURCES = %D%/puppet.S %D%/puppet.h
jobcr_puppet_CCASFLAGS =
jobcr_puppet_LINK = $(CC) -nostdlib -nostartfiles -static \
	-Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro \
	-Wl,--section-start=.text=0x200000 \
	-Wl,--section-start=.bss=0x210000 -o $@
