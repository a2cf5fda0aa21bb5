/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shim/shim.h"
#include "util/io.h"
#include "util/log.h"
#include "wire/control.h"

static const char usage[] =
	"jobcr-supervisor: the process that stands for a job outside its "
	"namespaces.\n"
	"Started by jobcr, jobcrd and spank_jobcr.so, not by hand.\n"
	"\n"
	"  --run-dir DIR         control socket: DIR/jobs/JOBID/control\n"
	"  --job JOBID\n"
	"  --uid UID --gid GID   the owner of the job\n"
	"  --name NAME           for listings\n"
	"  --libexec DIR         where jobcr-puppet is\n"
	"  --carry PREFIX        files below it are local to the node\n"
	"  --options TEXT        what its user asked for, as\n"
	"                        interval=30m,timelimit=5m,signal=USR1@30,\n"
	"                        isa=x86-64-v3,files=keep,ipc=host,\n"
	"                        peers=reset\n"
	"a local job:\n"
	"  --spec-fd FD          number of arguments, arguments, environment, "
	"each\n"
	"                        ended by a NUL; descriptors 0, 1, 2 are the "
	"job's\n"
	"  --groups GID,GID      supplementary groups\n"
	"  --cwd DIR --umask OCTAL --no-new-privs\n"
	"  --drop-caps BITS      not in its bounding set\n"
	"  --nice N --oom-score-adj N\n"
	"  --pty                 a terminal of its own, which is like "
	"descriptor 0;\n"
	"                        1 leads to one who looks at it\n"
	"  --rlimit NUMBER:SOFT:HARD\n"
	"  --ready-fd FD         told \"ok\", or exit status and reason of a "
	"failure\n"
	"a restore:\n"
	"  --restore GENERATION  a worker will build the job through the "
	"socket\n"
	"  --pty                 if it has a terminal, somebody will look at "
	"it\n"
	"a Slurm job: see launch.h\n"
	"  --slurm ID --child PID [--init PID]\n"
	"pid 1 of a job:\n"
	"  [--host-ipc] --init-process  descriptor 3 leads to the supervisor\n"
	"\n"
	"Ends as the job's root process does: with its exit status, or by its\n"
	"signal; with 75 when the job was ended by a checkpoint.\n";

enum option_code {
	OPT_RUN_DIR = 256,
	OPT_JOB,
	OPT_UID,
	OPT_GID,
	OPT_NAME,
	OPT_LIBEXEC,
	OPT_CARRY,
	OPT_SPEC_FD,
	OPT_GROUPS,
	OPT_CWD,
	OPT_UMASK,
	OPT_NO_NEW_PRIVS,
	OPT_DROP_CAPS,
	OPT_NICE,
	OPT_OOM,
	OPT_PTY,
	OPT_RLIMIT,
	OPT_READY_FD,
	OPT_RESTORE,
	OPT_SLURM,
	OPT_OPTIONS,
	OPT_CHILD,
	OPT_INIT,
	OPT_HOST_IPC,
	OPT_INIT_PROCESS,
	OPT_HELP
};

static const struct option options[] = {
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "job", required_argument, NULL, OPT_JOB },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "gid", required_argument, NULL, OPT_GID },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "libexec", required_argument, NULL, OPT_LIBEXEC },
	{ "carry", required_argument, NULL, OPT_CARRY },
	{ "options", required_argument, NULL, OPT_OPTIONS },
	{ "spec-fd", required_argument, NULL, OPT_SPEC_FD },
	{ "groups", required_argument, NULL, OPT_GROUPS },
	{ "cwd", required_argument, NULL, OPT_CWD },
	{ "umask", required_argument, NULL, OPT_UMASK },
	{ "no-new-privs", no_argument, NULL, OPT_NO_NEW_PRIVS },
	{ "drop-caps", required_argument, NULL, OPT_DROP_CAPS },
	{ "nice", required_argument, NULL, OPT_NICE },
	{ "oom-score-adj", required_argument, NULL, OPT_OOM },
	{ "pty", no_argument, NULL, OPT_PTY },
	{ "rlimit", required_argument, NULL, OPT_RLIMIT },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "restore", required_argument, NULL, OPT_RESTORE },
	{ "slurm", required_argument, NULL, OPT_SLURM },
	{ "child", required_argument, NULL, OPT_CHILD },
	{ "init", required_argument, NULL, OPT_INIT },
	{ "host-ipc", no_argument, NULL, OPT_HOST_IPC },
	{ "init-process", no_argument, NULL, OPT_INIT_PROCESS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int number(const char *text, uint64_t max, uint64_t *ret,
		  struct err *err)
{
	if (parse_u64(text, max, ret) < 0)
		return err_set(err, -EINVAL, "%s: not a number up to %llu",
			       text, (unsigned long long)max);
	return 0;
}

static int parse_groups(const char *text, struct shim_options *opt,
			struct err *err)
{
	char item[16];
	uint64_t v;

	opt->have_groups = true;
	while (*text) {
		size_t len = strcspn(text, ",");

		if (opt->ngroups == 1024 || len >= sizeof(item))
			return err_set(err, -EINVAL, "groups: %s", text);
		memcpy(item, text, len);
		item[len] = '\0';
		if (number(item, UINT32_MAX, &v, err) < 0)
			return -EINVAL;
		opt->groups[opt->ngroups++] = (gid_t)v;
		text += len + (text[len] == ',');
	}
	return 0;
}

static int parse_rlimit(const char *text, struct shim_options *opt,
			struct err *err)
{
	unsigned long long soft, hard;
	unsigned int nr;

	if (sscanf(text, "%u:%llu:%llu", &nr, &soft, &hard) != 3 ||
	    nr >= RLIM_NLIMITS)
		return err_set(err, -EINVAL, "rlimit: %s", text);
	opt->limits[nr] = (struct rlimit){ soft, hard };
	opt->have_limit[nr] = true;
	return 0;
}

static int parse_string(int c, const char *text, struct shim_options *opt)
{
	switch (c) {
	case OPT_RUN_DIR:
		opt->run_dir = text;
		return 1;
	case OPT_JOB:
		opt->job_id = text;
		return 1;
	case OPT_NAME:
		opt->name = text;
		return 1;
	case OPT_LIBEXEC:
		opt->libexec = text;
		return 1;
	case OPT_CARRY:
		opt->carry = text;
		return 1;
	case OPT_OPTIONS:
		opt->options = text;
		return 1;
	case OPT_CWD:
		opt->cwd = text;
		return 1;
	case OPT_UMASK:
		opt->umask = (int)strtol(text, NULL, 8) & 0777;
		return 1;
	case OPT_DROP_CAPS:
		opt->dropped_caps = strtoull(text, NULL, 10);
		return 1;
	case OPT_NICE:
		opt->nice = (int)strtol(text, NULL, 10);
		opt->have_nice = true;
		return 1;
	case OPT_OOM:
		opt->oom_score_adj = (int)strtol(text, NULL, 10);
		opt->have_oom = true;
		return 1;
	case OPT_NO_NEW_PRIVS:
		opt->no_new_privs = true;
		return 1;
	case OPT_PTY:
		opt->pty = true;
		return 1;
	default:
		return 0;
	}
}

static int parse_number(int c, const char *text, struct shim_options *opt,
			struct err *err)
{
	uint64_t v;

	if (number(text, UINT32_MAX, &v, err) < 0)
		return -EINVAL;
	switch (c) {
	case OPT_UID:
		opt->uid = (uid_t)v;
		return 0;
	case OPT_GID:
		opt->gid = (gid_t)v;
		return 0;
	case OPT_SPEC_FD:
		opt->spec_fd = (int)v;
		return 0;
	case OPT_READY_FD:
		opt->ready_fd = (int)v;
		return 0;
	case OPT_RESTORE:
		opt->restore = true;
		opt->generation = (uint32_t)v;
		return 0;
	case OPT_SLURM:
		opt->slurm = (uint32_t)v;
		return 0;
	case OPT_CHILD:
		opt->child = (pid_t)v;
		return 0;
	default:
		opt->init = (pid_t)v;
		return 0;
	}
}

static int parse(int argc, char **argv, struct shim_options *opt,
		 struct err *err)
{
	bool host_ipc = false;
	int c, r = 0;

	while (r == 0 &&
	       (c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == '?')
			return err_set(err, -EINVAL, "see --help");
		if (c == OPT_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (c == OPT_INIT_PROCESS)
			init_run(3, host_ipc);
		if (c == OPT_HOST_IPC) {
			host_ipc = true;
			continue;
		}
		if (parse_string(c, optarg, opt))
			continue;
		if (c == OPT_GROUPS)
			r = parse_groups(optarg, opt, err);
		else if (c == OPT_RLIMIT)
			r = parse_rlimit(optarg, opt, err);
		else
			r = parse_number(c, optarg, opt, err);
	}
	if (r < 0)
		return r;
	if (!opt->run_dir || !opt->job_id)
		return err_set(err, -EINVAL, "--run-dir and --job are needed");
	if (!opt->restore && opt->spec_fd < 0 && !(opt->child && opt->init))
		return err_set(err, -EINVAL, "nothing to start: see --help");
	return control_check_id(opt->job_id, err);
}

/*
 * No handlers at the end: one that makes a thread (a leak checker's) would
 * never come back, since our children belong to another pid namespace.
 */
static void give_up(int ready_fd, int status, const struct err *err)
	__attribute__((noreturn));
static void give_up(int ready_fd, int status, const struct err *err)
{
	if (ready_fd >= 0)
		dprintf(ready_fd, "%d %s", status, err->text);
	else
		log_error(NULL, "%s", err->text);
	_exit(status);
}

int main(int argc, char **argv)
{
	struct shim_options opt = { .umask = -1,
				    .spec_fd = -1,
				    .ready_fd = -1,
				    .libexec = JOBCR_LIBEXECDIR };
	sigset_t all, mask;
	struct err err = { 0 };
	int status;

	/* From the first moment on nothing may end us but the job. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	prctl(PR_SET_NAME, "jobcr-supervis");
	log_init("jobcr", LOG_LEVEL_INFO);
	if (parse(argc, argv, &opt, &err) < 0)
		give_up(opt.ready_fd, EXIT_SHIM, &err);
	if (geteuid() != 0) {
		err_set(&err, -EPERM, "jobcr-supervisor: only for root");
		give_up(opt.ready_fd, EXIT_SHIM, &err);
	}
	status = supervisor_run(&opt, &mask, &err);
	give_up(opt.ready_fd, status, &err);
}
