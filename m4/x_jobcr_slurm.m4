# X_JOBCR_SLURM
# Slurm's SPANK header and libslurm: for the plugin and jobcr-slurm.
AC_DEFUN([X_JOBCR_SLURM],
	[AC_ARG_WITH([slurm],
		[AS_HELP_STRING([--without-slurm],
			[build for local jobs only])],
		[], [with_slurm=yes])
	 jobcr_slurm=no
	 AS_IF([test "x$with_slurm" != xno],
		[AC_CHECK_HEADER([slurm/spank.h], [jobcr_slurm=yes], [],
			[[#include <stdbool.h>]])
		 jobcr_save_LIBS=$LIBS
		 AC_CHECK_LIB([slurm], [slurm_load_job],
			[SLURM_LIBS=-lslurm], [jobcr_slurm=no])
		 LIBS=$jobcr_save_LIBS
		 AS_IF([test $jobcr_slurm = no],
			[AC_MSG_ERROR([Slurm's header slurm/spank.h or its library libslurm is missing.
  On Debian: apt-get install libslurm-dev
  Or build for local jobs only: ./configure --without-slurm])])])
	 AC_SUBST([SLURM_LIBS])
	 AM_CONDITIONAL([SLURM], [test $jobcr_slurm = yes])])
