/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_COPY_H
#define JOBCR_TESTS_LIB_COPY_H

/* A program for everybody: the build may lie where users cannot go. */
int copy_program(const char *from, const char *to);

/* A directory with all that is in it. */
void remove_tree(const char *path);

#endif
