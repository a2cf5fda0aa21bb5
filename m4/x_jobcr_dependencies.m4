# X_JOBCR_DEPENDENCIES
# Libraries that jobcr cannot do without.  All are asked for before it stops,
# so that one installation of packages is enough.
AC_DEFUN([X_JOBCR_NEED],
	[PKG_CHECK_MODULES([$1], [$2], [],
		[jobcr_missing="$jobcr_missing
    $3 (Debian: $4)"
		 jobcr_packages="$jobcr_packages $4"])])

AC_DEFUN([X_JOBCR_DEPENDENCIES],
	[PKG_PROG_PKG_CONFIG
	 jobcr_missing=
	 jobcr_packages=
	 X_JOBCR_NEED([PROTOBUF_C], [libprotobuf-c >= 1.3],
		[protobuf-c], [libprotobuf-c-dev])
	 X_JOBCR_NEED([URING], [liburing >= 2.2], [liburing], [liburing-dev])
	 X_JOBCR_NEED([MUNGE], [munge], [munge], [libmunge-dev])
	 X_JOBCR_NEED([CAP], [libcap], [libcap], [libcap-dev])
	 X_JOBCR_NEED([CONFUSE], [libconfuse], [libconfuse], [libconfuse-dev])
	 X_JOBCR_NEED([JSON], [json-c], [json-c], [libjson-c-dev])
	 X_JOBCR_NEED([PACK], [libxxhash >= 0.8 liblz4 >= 1.9 libzstd >= 1.4],
		[xxhash, lz4 and zstd], [libxxhash-dev liblz4-dev libzstd-dev])
	 X_JOBCR_NEED([ARCHIVE], [libarchive >= 3.4],
		[libarchive], [libarchive-dev])
	 X_JOBCR_NEED([GCRYPT], [libgcrypt], [libgcrypt], [libgcrypt20-dev])
	 X_JOBCR_NEED([HWLOC], [hwloc >= 2.1], [hwloc], [libhwloc-dev])
	 AC_ARG_VAR([PROTOC_C], [protobuf-c compiler])
	 AC_PATH_PROG([PROTOC_C], [protoc-c])
	 AS_IF([test -z "$PROTOC_C"],
		[jobcr_missing="$jobcr_missing
    the protoc-c compiler (Debian: protobuf-c-compiler)"
		 jobcr_packages="$jobcr_packages protobuf-c-compiler"])
	 AS_IF([test -n "$jobcr_missing"],
		[AC_MSG_ERROR([these are missing:$jobcr_missing
  On Debian: apt-get install$jobcr_packages])])])
