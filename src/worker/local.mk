pkglibexec_PROGRAMS += jobcr-worker
jobcr_worker_SOURCES = \
	%D%/checkpoint.c \
	%D%/dir.c \
	%D%/fast.c \
	%D%/fence.c \
	%D%/flush.c \
	%D%/main.c \
	%D%/mark.c \
	%D%/outputs.c \
	%D%/outputs.h \
	%D%/restore.c \
	%D%/retire.c \
	%D%/seal.c \
	%D%/run.c \
	%D%/shelter.c \
	%D%/talk.c \
	%D%/terminal.c \
	%D%/watches.c \
	%D%/worker.h
jobcr_worker_LDADD = \
	src/operation/liboperation.a \
	src/engine/libengine.a \
	src/resource/libresource.a \
	src/snapshot/libsnapshot.a \
	src/repair/librepair.a \
	src/model/libmodel.a \
	src/inject/libinject.a \
	src/wire/libwire.a \
	src/wire/libwireproto.a \
	src/kernel/libkernel.a \
	storage/libstorage.a \
	images/libimages.a \
	images/libproto.a \
	src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS) \
	$(JSON_LIBS) $(MUNGE_LIBS) $(CAP_LIBS) $(HWLOC_LIBS)
