# X_JOBCR_WARNINGS
# Warnings for our own sources; errors with --enable-werror.
AC_DEFUN([X_JOBCR_WARNINGS],
	[AC_ARG_ENABLE([werror],
		[AS_HELP_STRING([--enable-werror],
			[treat warnings as errors])],
		[], [enable_werror=no])
	 WARN_CFLAGS="-Wall -Wextra -Wshadow -Wstrict-prototypes"
	 WARN_CFLAGS="$WARN_CFLAGS -Wmissing-prototypes -Wpointer-arith"
	 WARN_CFLAGS="$WARN_CFLAGS -Wwrite-strings -Wno-unused-parameter"
	 WARN_CFLAGS="$WARN_CFLAGS -Wno-missing-field-initializers"
	 AS_IF([test "x$enable_werror" = xyes],
		[WARN_CFLAGS="$WARN_CFLAGS -Werror"])
	 AC_SUBST([WARN_CFLAGS])])
