# X_JOBCR_SANITIZER
# --enable-sanitizer=address,undefined: everything but the puppet, which runs
# without a libc in the place of a job's process.
AC_DEFUN([X_JOBCR_SANITIZER],
	[AC_ARG_ENABLE([sanitizer],
		[AS_HELP_STRING([--enable-sanitizer=LIST],
			[build with these sanitizers (address,undefined)])],
		[], [enable_sanitizer=no])
	 AS_CASE([$enable_sanitizer],
		[no], [SANITIZER_CFLAGS=],
		[yes], [SANITIZER_CFLAGS="-fsanitize=address,undefined"],
		[SANITIZER_CFLAGS="-fsanitize=$enable_sanitizer"])
	 AS_IF([test -n "$SANITIZER_CFLAGS"],
		[SANITIZER_CFLAGS="$SANITIZER_CFLAGS -fno-omit-frame-pointer"
		 SANITIZER_CFLAGS="$SANITIZER_CFLAGS -fno-sanitize-recover=undefined"])
	 AC_SUBST([SANITIZER_CFLAGS])])
