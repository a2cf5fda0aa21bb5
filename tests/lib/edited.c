/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/edited.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/tags.h"
#include "images/task.pb-c.h"
#include "tests/lib/copy.h"
#include "tests/lib/edit.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define TURNS 2000 /* of 5 ms */

int edited_await_program(const struct drive_job *job, const char *comm,
			 struct err *err)
{
	char path[64], now[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)drive_root_pid(job));
	for (int i = 0; i < TURNS; i++) {
		FILE *f = fopen(path, "re");

		if (!f || !fgets(now, sizeof(now), f))
			now[0] = '\0';
		if (f)
			fclose(f);
		now[strcspn(now, "\n")] = '\0';
		if (!strcmp(now, comm))
			return 0;
		usleep(5000);
	}
	return err_set(err, -ETIMEDOUT, "the job never is %s", comm);
}

int edited_await_file(const char *path, off_t size, struct err *err)
{
	struct stat st;

	for (int i = 0; i < TURNS; i++) {
		if (stat(path, &st) == 0 && st.st_size >= size)
			return 0;
		usleep(5000);
	}
	return err_set(err, -ETIMEDOUT, "the job never makes %s", path);
}

int edited_start_self(struct drive_place *place, const char *dir,
		      const char *self, struct drive_job **ret, struct err *err)
{
	static char program[100], output[100];
	char *argv[] = { program, (char *)"job", NULL };
	char *envp[] = { NULL };
	int r;

	snprintf(program, sizeof(program), "%s/program", dir);
	snprintf(output, sizeof(output), "%s/output", dir);
	place->output = output;
	if (copy_program(self, program) < 0)
		return err_set(err, -EIO, "no copy of %s", self);
	r = drive_start(place, argv, envp, ret, err);
	return r < 0 ? r : edited_await_file(output, 1, err);
}

static int save(struct drive_place *place, const char *dir, const char *self,
		const char *image, const struct edited_test *test,
		struct err *err)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r;

	place->prepare = test->prepare;
	r = test->start ? test->start(place, dir, &job, err)
			: edited_start_self(place, dir, self, &job, err);
	if (r == 0) {
		r = drive_checkpoint(job, image, true, o);
		*err = o->err;
	}
	drive_end(job);
	free(o);
	return r;
}

struct editing {
	const struct edited_test *test;
	const struct edited_case *edit; /* NULL: only written again */
	pid_t pid;
	unsigned int applied;
};

static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	struct editing *e = arg;
	const struct edited_case *c = e->edit;

	if (tag == TAG_TASK && !e->pid)
		e->pid = ((const TaskRecord *)msg)->pid;
	if (!c || tag != c->tag || (c->suits && !c->suits(msg)) ||
	    (e->applied && e->test->first_only))
		return;
	e->applied++;
	if (c->apply)
		c->apply(msg);
	if (!c->add)
		return;
	ret->tag = c->more;
	ret->msg = c->add(e->pid, msg);
}

static void restore(const struct drive_place *place, const char *image,
		    const struct edited_test *test, const struct edited_case *c)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_restore(place, image, &job, o);

	if (!c || !c->error)
		ok(r == 0, "%s, it is restored: %s",
		   c ? c->what : "written again", r < 0 ? o->err.text : "yes");
	else
		ok(r < 0 && strstr(o->err.text, c->error),
		   "%s is not to be had: %s", c->what,
		   r < 0 ? o->err.text : "restored");
	if (r == 0 && c && test->restored)
		test->restored(c, job);
	drive_end(job);
	free(o);
}

static void try_case(const struct drive_place *place, const char *image,
		     const struct edited_test *test,
		     const struct edited_case *c)
{
	struct editing e = { .test = test, .edit = c };
	struct err err = { 0 };

	if (snapshot_edit(image, apply, &e, &err) < 0 || (c && !e.applied))
		ok(false, "%s: edited: %s", c ? c->what : "nothing", err.text);
	else
		restore(place, image, test, c);
}

void edited_run(struct drive_place *place, const char *dir, const char *self,
		const struct edited_test *test)
{
	char image[100], copy[400];
	struct err err = { 0 };

	snprintf(image, sizeof(image), "%s/image", dir);
	if (!ok(save(place, dir, self, image, test, &err) == 0,
		"a user's job is saved: %s", err.text))
		return;
	snprintf(copy, sizeof(copy), "cp -a %s %s.whole", image, image);
	if (!ok(system(copy) == 0, "its snapshot is copied"))
		return;
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", image,
		 image, image);
	try_case(place, image, test, NULL);
	for (size_t i = 0; i < test->count; i++) {
		if (system(copy) != 0)
			ok(false, "its snapshot is copied again");
		try_case(place, image, test, &test->cases[i]);
	}
}

int edited_main(int argc, char **argv, const struct edited_test *test)
{
	struct drive_place place = { .uid = EDITED_USER,
				     .gid = EDITED_USER,
				     .cwd = "/" };
	char dir[64];

	if (argc > 1 && test->job)
		return test->job();
	if (geteuid() != 0)
		skip_all("needs root");
	close(temp_dir(dir));
	if (chmod(dir, test->mode) < 0)
		return 1;
	edited_run(&place, dir, argv[0], test);
	temp_dir_remove(dir);
	return done_testing();
}
