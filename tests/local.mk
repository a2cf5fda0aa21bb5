# TAP everywhere, through automake's driver.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
T_LOG_DRIVER = $(LOG_DRIVER)
TEST_EXTENSIONS = .sh .t
# A script that ends with 1 has said which of its points failed.
AM_T_LOG_DRIVER_FLAGS = --ignore-exit
SH_LOG_COMPILER = $(SHELL)
T_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; top_builddir='$(abs_top_builddir)'; \
	JOBCR_LIBEXEC="$${JOBCR_LIBEXEC:-$$top_builddir}"; \
	export top_srcdir top_builddir JOBCR_LIBEXEC;

check_LIBRARIES = %D%/lib/libtap.a
%C%_lib_libtap_a_SOURCES = %D%/lib/tap.c %D%/lib/tap.h \
	%D%/lib/fail_call.c %D%/lib/fail_call.h \
	%D%/lib/hanging.c %D%/lib/hanging.h \
	%D%/lib/own_network.c %D%/lib/own_network.h
%C%_lib_libtap_a_CFLAGS = $(AM_CFLAGS)

# Victims: programs that roundtrip leads through checkpoints and restores.
check_LIBRARIES += %D%/lib/libvictim.a %D%/lib/libdrive.a
%C%_lib_libvictim_a_SOURCES = %D%/lib/victim.c %D%/lib/victim.h
%C%_lib_libdrive_a_SOURCES = %D%/lib/copy.c %D%/lib/copy.h \
	%D%/lib/clocks.c %D%/lib/clocks.h \
	%D%/lib/where.c %D%/lib/where.h \
	%D%/lib/drive.c %D%/lib/drive.h \
	%D%/lib/drive_supervisor.c %D%/lib/drive_supervisor.h \
	%D%/lib/drive_pty.c %D%/lib/drive_pty.h \
	%D%/lib/drive_watch.c %D%/lib/drive_watch.h \
	%D%/lib/older.c %D%/lib/older.h \
	%D%/lib/doom.c %D%/lib/doom.h %D%/lib/outcome.c %D%/lib/outcome.h \
	%D%/lib/edit.c %D%/lib/edit.h \
	%D%/lib/edited.c %D%/lib/edited.h
check_PROGRAMS += %D%/lib/roundtrip
%C%_lib_roundtrip_SOURCES = %D%/lib/roundtrip.c \
	%D%/lib/forge.c %D%/lib/forge.h %D%/lib/older_text.c
%C%_lib_roundtrip_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=read_file_at
ENGINE_LIBS = src/engine/libengine.a src/resource/libresource.a \
	src/snapshot/libsnapshot.a src/repair/librepair.a src/model/libmodel.a \
	src/inject/libinject.a storage/libstorage.a images/libimages.a \
	images/libproto.a src/kernel/libkernel.a src/util/libutil.a \
	$(HWLOC_LIBS)
%C%_lib_roundtrip_LDADD = %D%/lib/libdrive.a %D%/lib/libtap.a \
	$(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) \
	$(GCRYPT_LIBS)
TEST_EXTENSIONS += .victim
VICTIM_LOG_DRIVER = $(LOG_DRIVER)
VICTIM_LOG_COMPILER = $(abs_top_builddir)/%D%/lib/roundtrip
VICTIM_LIBS = %D%/lib/libvictim.a

# Each test is a block of its own.
UNIT_TESTS =
T_TESTS =
VICTIMS =

UNIT_TESTS += %D%/unit/plain
%C%_unit_plain_SOURCES = %D%/unit/plain.c
%C%_unit_plain_LDADD = %D%/lib/libtap.a src/util/libutil.a
UNIT_TESTS += %D%/unit/err
%C%_unit_err_SOURCES = %D%/unit/err.c
%C%_unit_err_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/job_facts
%C%_unit_job_facts_SOURCES = %D%/unit/job_facts.c
%C%_unit_job_facts_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	storage/libstorage.a src/util/libutil.a

UNIT_TESTS += %D%/unit/ended
%C%_unit_ended_SOURCES = %D%/unit/ended.c
%C%_unit_ended_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/small
%C%_unit_small_SOURCES = %D%/unit/small.c
%C%_unit_small_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/log
%C%_unit_log_SOURCES = %D%/unit/log.c
%C%_unit_log_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/status
%C%_unit_status_SOURCES = %D%/unit/status.c
%C%_unit_status_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/wire/libwire.a src/wire/libwireproto.a storage/libstorage.a \
	src/util/libutil.a $(PROTOBUF_C_LIBS)

UNIT_TESTS += %D%/unit/caller
%C%_unit_caller_SOURCES = %D%/unit/caller.c
%C%_unit_caller_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/event
%C%_unit_event_SOURCES = %D%/unit/event.c src/daemon/event.c
%C%_unit_event_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/wire/libwire.a src/wire/libwireproto.a storage/libstorage.a \
	src/util/libutil.a $(PROTOBUF_C_LIBS)

UNIT_TESTS += %D%/unit/bounded
%C%_unit_bounded_SOURCES = %D%/unit/bounded.c src/daemon/bounded.c
%C%_unit_bounded_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/wire/libwire.a src/util/libutil.a

UNIT_TESTS += %D%/unit/mounted_below
%C%_unit_mounted_below_SOURCES = %D%/unit/mounted_below.c
%C%_unit_mounted_below_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/ask
%C%_unit_ask_SOURCES = %D%/unit/ask.c
%C%_unit_ask_LDADD = %D%/lib/libtap.a src/wire/libwire.a src/util/libutil.a

UNIT_TESTS += %D%/unit/model
%C%_unit_model_SOURCES = %D%/unit/model.c
%C%_unit_model_LDADD = %D%/lib/libtap.a src/model/libmodel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/outside
%C%_unit_outside_SOURCES = %D%/unit/outside.c
%C%_unit_outside_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/model/libmodel.a src/kernel/libkernel.a src/util/libutil.a

UNIT_TESTS += %D%/unit/proc
%C%_unit_proc_SOURCES = %D%/unit/proc.c
%C%_unit_proc_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/rota
%C%_unit_rota_SOURCES = %D%/unit/rota.c
%C%_unit_rota_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/bucket
%C%_unit_bucket_SOURCES = %D%/unit/bucket.c
%C%_unit_bucket_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/depth
%C%_unit_depth_SOURCES = %D%/unit/depth.c
%C%_unit_depth_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/slots
%C%_unit_slots_SOURCES = %D%/unit/slots.c
%C%_unit_slots_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/plan_job
%C%_unit_plan_job_SOURCES = %D%/unit/plan_job.c src/daemon/due.c \
	src/daemon/event.c src/daemon/limits.c src/daemon/plan.c \
	src/daemon/slurm.c
%C%_unit_plan_job_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) -lm

UNIT_TESTS += %D%/unit/renew
%C%_unit_renew_SOURCES = %D%/unit/renew.c src/daemon/fence_renew.c \
	src/daemon/slurm.c
%C%_unit_renew_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS)

UNIT_TESTS += %D%/unit/take
%C%_unit_take_SOURCES = %D%/unit/take.c src/daemon/fence_take.c \
	src/daemon/slurm.c
%C%_unit_take_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(MUNGE_LIBS) $(URING_LIBS)

UNIT_TESTS += %D%/unit/retire
%C%_unit_retire_SOURCES = %D%/unit/retire.c src/daemon/retire.c \
	src/daemon/bounded.c src/daemon/candidate.c \
	src/daemon/retire_sweep.c src/daemon/event.c src/daemon/kept.c \
	src/daemon/slurm.c
%C%_unit_retire_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS)

UNIT_TESTS += %D%/unit/hold
%C%_unit_hold_SOURCES = %D%/unit/hold.c src/daemon/event.c \
	src/daemon/slurm.c src/daemon/subject.c
%C%_unit_hold_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS)

UNIT_TESTS += %D%/unit/unsaved
%C%_unit_unsaved_SOURCES = %D%/unit/unsaved.c src/daemon/cut.c \
	src/daemon/slurm.c src/daemon/subject.c
%C%_unit_unsaved_LDFLAGS = -Wl,--wrap=apart_run
%C%_unit_unsaved_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(MUNGE_LIBS) $(URING_LIBS)

UNIT_TESTS += %D%/unit/answer
%C%_unit_answer_SOURCES = %D%/unit/answer.c src/daemon/answer.c \
	src/daemon/mounted.c src/daemon/slurm.c
%C%_unit_answer_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(URING_LIBS)

UNIT_TESTS += %D%/unit/revive
%C%_unit_revive_SOURCES = %D%/unit/revive.c src/daemon/revive.c
%C%_unit_revive_LDADD = %D%/lib/libtap.a src/wire/libwireproto.a \
	storage/libstorage.a src/util/libutil.a $(PROTOBUF_C_LIBS) \
	$(URING_LIBS)

UNIT_TESTS += %D%/unit/keeper
%C%_unit_keeper_SOURCES = %D%/unit/keeper.c src/daemon/fence_keep.c
%C%_unit_keeper_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/util/libutil.a $(PROTOBUF_C_LIBS)

UNIT_TESTS += %D%/unit/no_spaces
%C%_unit_no_spaces_SOURCES = %D%/unit/no_spaces.c
%C%_unit_no_spaces_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/forward
%C%_unit_forward_SOURCES = %D%/unit/forward.c src/shim/forward.c
%C%_unit_forward_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/reserved
%C%_unit_reserved_SOURCES = %D%/unit/reserved.c
%C%_unit_reserved_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	src/wire/libwireproto.a src/util/libutil.a $(PROTOBUF_C_LIBS) $(MUNGE_LIBS)
UNIT_TESTS += %D%/unit/keeping
%C%_unit_keeping_SOURCES = %D%/unit/keeping.c
%C%_unit_keeping_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/kept
%C%_unit_kept_SOURCES = %D%/unit/kept.c src/daemon/kept.c src/daemon/slurm.c
%C%_unit_kept_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	src/conf/libconf.a src/wire/libwire.a src/wire/libwireproto.a \
	src/kernel/libkernel.a storage/libstorage.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) -lm

UNIT_TESTS += %D%/unit/due
%C%_unit_due_SOURCES = %D%/unit/due.c src/daemon/due.c
%C%_unit_due_LDADD = %D%/lib/libtap.a src/util/libutil.a -lm

UNIT_TESTS += %D%/unit/crash
%C%_unit_crash_SOURCES = %D%/unit/crash.c src/daemon/crash.c
%C%_unit_crash_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/tree
%C%_unit_tree_SOURCES = %D%/unit/tree.c
%C%_unit_tree_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/inode_path
%C%_unit_inode_path_SOURCES = %D%/unit/inode_path.c
%C%_unit_inode_path_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/ipc
%C%_unit_ipc_SOURCES = %D%/unit/ipc.c
%C%_unit_ipc_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/maps
%C%_unit_maps_SOURCES = %D%/unit/maps.c
%C%_unit_maps_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/btf
%C%_unit_btf_SOURCES = %D%/unit/btf.c
%C%_unit_btf_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/user_dispatch
%C%_unit_user_dispatch_SOURCES = %D%/unit/user_dispatch.c
%C%_unit_user_dispatch_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/quick_maps
%C%_unit_quick_maps_SOURCES = %D%/unit/quick_maps.c
%C%_unit_quick_maps_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a

check_LIBRARIES += %D%/lib/libsample.a
%C%_lib_libsample_a_SOURCES = %D%/lib/sample.c %D%/lib/sample.h
%C%_lib_libsample_a_CFLAGS = $(AM_CFLAGS)
SNAPSHOT_LIBS = %D%/lib/libtap.a %D%/lib/libsample.a \
	src/snapshot/libsnapshot.a storage/libstorage.a images/libimages.a \
	images/libproto.a src/kernel/libkernel.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(GCRYPT_LIBS) $(PACK_LIBS) $(JSON_LIBS)

UNIT_TESTS += %D%/unit/parallel
%C%_unit_parallel_SOURCES = %D%/unit/parallel.c
%C%_unit_parallel_LDADD = %D%/lib/libtap.a src/util/libutil.a
UNIT_TESTS += %D%/unit/near
%C%_unit_near_SOURCES = %D%/unit/near.c
%C%_unit_near_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a $(HWLOC_LIBS)
UNIT_TESTS += %D%/unit/paths
%C%_unit_paths_SOURCES = %D%/unit/paths.c
%C%_unit_paths_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/spans
%C%_unit_spans_SOURCES = %D%/unit/spans.c
%C%_unit_spans_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/crc32c
%C%_unit_crc32c_SOURCES = %D%/unit/crc32c.c
%C%_unit_crc32c_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/record
%C%_unit_record_SOURCES = %D%/unit/record.c
%C%_unit_record_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/pack
%C%_unit_pack_SOURCES = %D%/unit/pack.c src/engine/pace.c \
	src/engine/block_list.c
%C%_unit_pack_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/cached
%C%_unit_cached_SOURCES = %D%/unit/cached.c
%C%_unit_cached_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/storage
%C%_unit_storage_SOURCES = %D%/unit/storage.c
%C%_unit_storage_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/submit
%C%_unit_submit_SOURCES = %D%/unit/submit.c
%C%_unit_submit_LDFLAGS = -Wl,--wrap=io_uring_submit
%C%_unit_submit_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/writing
%C%_unit_writing_SOURCES = %D%/unit/writing.c
%C%_unit_writing_LDADD = %D%/lib/libtap.a src/wire/libwire.a $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/store
%C%_unit_store_SOURCES = %D%/unit/store.c
%C%_unit_store_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/tier
%C%_unit_tier_SOURCES = %D%/unit/tier.c
%C%_unit_tier_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/lease
%C%_unit_lease_SOURCES = %D%/unit/lease.c
%C%_unit_lease_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/publish
%C%_unit_publish_SOURCES = %D%/unit/publish.c
%C%_unit_publish_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/damaged
%C%_unit_damaged_SOURCES = %D%/unit/damaged.c
%C%_unit_damaged_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=borrow_is_lost \
	-Wl,--wrap=writer_submit
%C%_unit_damaged_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS) $(JSON_LIBS)

UNIT_TESTS += %D%/unit/hang
%C%_unit_hang_SOURCES = %D%/unit/hang.c
%C%_unit_hang_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS) $(JSON_LIBS)

UNIT_TESTS += %D%/unit/snapshot
%C%_unit_snapshot_SOURCES = %D%/unit/snapshot.c
%C%_unit_snapshot_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/output
%C%_unit_output_SOURCES = %D%/unit/output.c
%C%_unit_output_LDADD = $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/files
%C%_unit_files_SOURCES = %D%/unit/files.c %D%/lib/rig.c %D%/lib/rig.h
%C%_unit_files_LDADD = src/resource/libresource.a src/repair/librepair.a \
	src/model/libmodel.a src/kernel/libkernel.a $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/address_map
%C%_unit_address_map_SOURCES = %D%/unit/address_map.c
%C%_unit_address_map_LDADD = %D%/lib/libtap.a src/util/libutil.a
UNIT_TESTS += %D%/unit/local_file
%C%_unit_local_file_SOURCES = %D%/unit/local_file.c %D%/lib/rig.c %D%/lib/rig.h
%C%_unit_local_file_LDADD = src/resource/libresource.a src/repair/librepair.a \
	src/model/libmodel.a src/kernel/libkernel.a $(SNAPSHOT_LIBS)

UNIT_TESTS += %D%/unit/half
%C%_unit_half_SOURCES = %D%/unit/half.c
%C%_unit_half_LDADD = %D%/lib/libtap.a src/repair/librepair.a \
	src/util/libutil.a $(URING_LIBS)

UNIT_TESTS += %D%/unit/repair
%C%_unit_repair_SOURCES = %D%/unit/repair.c
%C%_unit_repair_LDADD = %D%/lib/libtap.a src/repair/librepair.a \
	src/util/libutil.a $(URING_LIBS)

UNIT_TESTS += %D%/unit/datagrams
%C%_unit_datagrams_SOURCES = %D%/unit/datagrams.c
%C%_unit_datagrams_LDADD = %D%/lib/libtap.a src/repair/librepair.a \
	src/kernel/libkernel.a src/util/libutil.a $(URING_LIBS)

UNIT_TESTS += %D%/unit/sync
%C%_unit_sync_SOURCES = %D%/unit/sync.c
%C%_unit_sync_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/util/libutil.a

UNIT_TESTS += %D%/fuzz/records
%C%_fuzz_records_SOURCES = %D%/fuzz/main.c %D%/fuzz/records.c %D%/fuzz/fuzz.h
%C%_fuzz_records_LDADD = $(SNAPSHOT_LIBS)

# By libFuzzer: configure with CC=clang and
# --enable-sanitizer=fuzzer-no-link,address,undefined, then make this.
EXTRA_PROGRAMS += %D%/fuzz/records_libfuzzer
%C%_fuzz_records_libfuzzer_SOURCES = %D%/fuzz/records.c %D%/fuzz/fuzz.h
%C%_fuzz_records_libfuzzer_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
%C%_fuzz_records_libfuzzer_LDADD = $(SNAPSHOT_LIBS)

noinst_PROGRAMS += %D%/bench/disk
%C%_bench_disk_SOURCES = %D%/bench/disk.c %D%/bench/limit.c \
	%D%/bench/limit.h
%C%_bench_disk_LDADD = src/snapshot/libsnapshot.a storage/libstorage.a \
	images/libimages.a images/libproto.a src/util/libutil.a \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(GCRYPT_LIBS) $(PACK_LIBS) \
	$(JSON_LIBS)
UNIT_TESTS += %D%/unit/family
%C%_unit_family_SOURCES = %D%/unit/family.c
%C%_unit_family_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	images/libproto.a src/util/libutil.a $(PROTOBUF_C_LIBS)

UNIT_TESTS += %D%/unit/plan
%C%_unit_plan_SOURCES = %D%/unit/plan.c %D%/lib/image.c \
	%D%/lib/image.h %D%/lib/tiny.c %D%/lib/tiny.h
%C%_unit_plan_LDADD = %D%/lib/libsample.a %D%/lib/libtap.a \
	$(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/pin
%C%_unit_pin_SOURCES = %D%/unit/pin.c
%C%_unit_pin_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/util/libutil.a

UNIT_TESTS += %D%/unit/doomed
%C%_unit_doomed_SOURCES = %D%/unit/doomed.c
%C%_unit_doomed_LDADD = %D%/lib/libdrive.a %D%/lib/libtap.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/restart
%C%_unit_restart_SOURCES = %D%/unit/restart.c %D%/lib/image.c \
	%D%/lib/image.h %D%/lib/tiny.c %D%/lib/tiny.h
%C%_unit_restart_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

check_LIBRARIES += %D%/victims/libmapping.a
%C%_victims_libmapping_a_SOURCES = %D%/victims/mapping.c \
	%D%/victims/mapping.h
%C%_victims_libmapping_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib

VICTIMS += %D%/victims/vma.victim
%C%_victims_vma_victim_SOURCES = %D%/victims/vma.c
%C%_victims_vma_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_vma_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/lock_future.victim
%C%_victims_lock_future_victim_SOURCES = %D%/victims/lock_future.c
%C%_victims_lock_future_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_lock_future_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/mempolicy.victim
%C%_victims_mempolicy_victim_SOURCES = %D%/victims/mempolicy.c
%C%_victims_mempolicy_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_mempolicy_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/residence.victim
%C%_victims_residence_victim_SOURCES = %D%/victims/residence.c
%C%_victims_residence_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_residence_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/grown.victim
%C%_victims_grown_victim_SOURCES = %D%/victims/grown.c
%C%_victims_grown_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/cow.victim
%C%_victims_cow_victim_SOURCES = %D%/victims/cow.c
%C%_victims_cow_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_cow_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)
# KSM is the node's: the test sees to it.
check_PROGRAMS += %D%/victims/merged.victim
T_TESTS += %D%/t/merged.t
%C%_victims_merged_victim_SOURCES = %D%/victims/merged.c
%C%_victims_merged_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_merged_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)
VICTIMS += %D%/victims/layouts.victim
%C%_victims_layouts_victim_SOURCES = %D%/victims/layouts.c
%C%_victims_layouts_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_layouts_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/mm.victim
%C%_victims_mm_victim_SOURCES = %D%/victims/mm.c
%C%_victims_mm_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_mm_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/sysv_shm.victim
%C%_victims_sysv_shm_victim_SOURCES = %D%/victims/sysv_shm.c
%C%_victims_sysv_shm_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_sysv_shm_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/sysv_sem.victim
%C%_victims_sysv_sem_victim_SOURCES = %D%/victims/sysv_sem.c
%C%_victims_sysv_sem_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/sysv_msg.victim
%C%_victims_sysv_msg_victim_SOURCES = %D%/victims/sysv_msg.c
%C%_victims_sysv_msg_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/lease.victim
%C%_victims_lease_victim_SOURCES = %D%/victims/lease.c
%C%_victims_lease_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/mqueue_messages.victim
%C%_victims_mqueue_messages_victim_SOURCES = %D%/victims/mqueue_messages.c
%C%_victims_mqueue_messages_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/mqueue.victim
%C%_victims_mqueue_victim_SOURCES = %D%/victims/mqueue.c
%C%_victims_mqueue_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/dev_shm.victim
%C%_victims_dev_shm_victim_SOURCES = %D%/victims/dev_shm.c
%C%_victims_dev_shm_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_dev_shm_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/shmem.victim
%C%_victims_shmem_victim_SOURCES = %D%/victims/shmem.c
%C%_victims_shmem_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_shmem_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/memfd.victim
%C%_victims_memfd_victim_SOURCES = %D%/victims/memfd.c
%C%_victims_memfd_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_memfd_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/amx.victim
%C%_victims_amx_victim_SOURCES = %D%/victims/amx.c
%C%_victims_amx_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/pi.victim
%C%_victims_pi_victim_SOURCES = %D%/victims/pi.c
%C%_victims_pi_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/rseq.victim
%C%_victims_rseq_victim_SOURCES = %D%/victims/rseq.c
%C%_victims_rseq_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/sleeps.victim
%C%_victims_sleeps_victim_SOURCES = %D%/victims/sleeps.c
%C%_victims_sleeps_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/counter.victim
%C%_victims_counter_victim_SOURCES = %D%/victims/counter.c
%C%_victims_counter_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/untouched.victim
%C%_victims_untouched_victim_SOURCES = %D%/victims/untouched.c
%C%_victims_untouched_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/regs.victim
%C%_victims_regs_victim_SOURCES = %D%/victims/regs.c
%C%_victims_regs_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/stopped.victim
%C%_victims_stopped_victim_SOURCES = %D%/victims/stopped.c
%C%_victims_stopped_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/threads.victim
%C%_victims_threads_victim_SOURCES = %D%/victims/threads.c
%C%_victims_threads_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/table.victim
%C%_victims_table_victim_SOURCES = %D%/victims/table.c
%C%_victims_table_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/tree.victim
%C%_victims_tree_victim_SOURCES = %D%/victims/tree.c
%C%_victims_tree_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/zombie.victim
%C%_victims_zombie_victim_SOURCES = %D%/victims/zombie.c
%C%_victims_zombie_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/file.victim
%C%_victims_file_victim_SOURCES = %D%/victims/file.c
%C%_victims_file_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/file_lock.victim
%C%_victims_file_lock_victim_SOURCES = %D%/victims/file_lock.c
%C%_victims_file_lock_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/rewritten.victim
%C%_victims_rewritten_victim_SOURCES = %D%/victims/rewritten.c
%C%_victims_rewritten_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/vfork.victim
%C%_victims_vfork_victim_SOURCES = %D%/victims/vfork.c
%C%_victims_vfork_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/marks.victim
%C%_victims_marks_victim_SOURCES = %D%/victims/marks.c
%C%_victims_marks_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/ghost.victim
%C%_victims_ghost_victim_SOURCES = %D%/victims/ghost.c
%C%_victims_ghost_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/proc_file.victim
%C%_victims_proc_file_victim_SOURCES = %D%/victims/proc_file.c
%C%_victims_proc_file_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/fifo.victim
%C%_victims_fifo_victim_SOURCES = %D%/victims/fifo.c
%C%_victims_fifo_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/private_dir.victim
%C%_victims_private_dir_victim_SOURCES = %D%/victims/private_dir.c
%C%_victims_private_dir_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/pipe.victim
%C%_victims_pipe_victim_SOURCES = %D%/victims/pipe.c
%C%_victims_pipe_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/unix.victim
%C%_victims_unix_victim_SOURCES = %D%/victims/unix.c
%C%_victims_unix_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/unix_rights.victim
%C%_victims_unix_rights_victim_SOURCES = %D%/victims/unix_rights.c
%C%_victims_unix_rights_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/unix_names.victim
%C%_victims_unix_names_victim_SOURCES = %D%/victims/unix_names.c
%C%_victims_unix_names_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/chardev.victim
%C%_victims_chardev_victim_SOURCES = %D%/victims/chardev.c
%C%_victims_chardev_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/late.victim
%C%_victims_late_victim_SOURCES = %D%/victims/late.c
%C%_victims_late_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/passing.victim
%C%_victims_passing_victim_SOURCES = %D%/victims/passing.c
%C%_victims_passing_victim_LDADD = $(VICTIM_LIBS)

check_PROGRAMS += %D%/victims/swapped.victim
%C%_victims_swapped_victim_SOURCES = %D%/victims/swapped.c
%C%_victims_swapped_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_swapped_victim_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/swap.t

VICTIMS += %D%/victims/overrun.victim
%C%_victims_overrun_victim_SOURCES = %D%/victims/overrun.c
%C%_victims_overrun_victim_CFLAGS = $(AM_CFLAGS) -pthread
%C%_victims_overrun_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/inotify.victim
%C%_victims_inotify_victim_SOURCES = %D%/victims/inotify.c
%C%_victims_inotify_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/pidfd.victim
%C%_victims_pidfd_victim_SOURCES = %D%/victims/pidfd.c
%C%_victims_pidfd_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/pty.victim
%C%_victims_pty_victim_SOURCES = %D%/victims/pty.c
%C%_victims_pty_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/pty_session.victim
%C%_victims_pty_session_victim_SOURCES = %D%/victims/pty_session.c
%C%_victims_pty_session_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/eventfd.victim
%C%_victims_eventfd_victim_SOURCES = %D%/victims/eventfd.c
%C%_victims_eventfd_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/timerfd.victim
%C%_victims_timerfd_victim_SOURCES = %D%/victims/timerfd.c
%C%_victims_timerfd_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/signalfd.victim
%C%_victims_signalfd_victim_SOURCES = %D%/victims/signalfd.c
%C%_victims_signalfd_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/epoll.victim
%C%_victims_epoll_victim_SOURCES = %D%/victims/epoll.c
%C%_victims_epoll_victim_LDADD = $(VICTIM_LIBS)

check_PROGRAMS += %D%/victims/refused_terminal
%C%_victims_refused_terminal_SOURCES = %D%/victims/refused_terminal.c
%C%_victims_refused_terminal_LDADD = $(VICTIM_LIBS)
check_PROGRAMS += %D%/victims/refused
%C%_victims_refused_SOURCES = %D%/victims/refused.c
%C%_victims_refused_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/status.t
T_TESTS += %D%/t/man.t
T_TESTS += %D%/t/completion.t
T_TESTS += %D%/t/isa.t
T_TESTS += %D%/t/uprobes.t
T_TESTS += %D%/t/check_job.t
T_TESTS += %D%/t/features.t
T_TESTS += %D%/t/refused.t
T_TESTS += %D%/t/stdio.t
T_TESTS += %D%/t/unix.t
T_TESTS += %D%/t/services.t
T_TESTS += %D%/t/terminal.t
EXTRA_DIST += %D%/t/terminal.py %D%/lib/terminal.py
T_TESTS += %D%/t/dev_shm.t
T_TESTS += %D%/t/local_files.t
T_TESTS += %D%/t/leftovers.t
T_TESTS += %D%/t/ipc.t
T_TESTS += %D%/t/files.t
T_TESTS += %D%/t/fifo.t

UNIT_TESTS += %D%/unit/eintr
%C%_unit_eintr_SOURCES = %D%/unit/eintr.c
%C%_unit_eintr_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/inject/libinject.a src/kernel/libkernel.a src/util/libutil.a

UNIT_TESTS += %D%/unit/heal
%C%_unit_heal_SOURCES = %D%/unit/heal.c
%C%_unit_heal_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/inject/libinject.a src/kernel/libkernel.a src/util/libutil.a
VICTIMS += %D%/victims/seccomp.victim
%C%_victims_seccomp_victim_SOURCES = %D%/victims/seccomp.c
%C%_victims_seccomp_victim_LDADD = $(VICTIM_LIBS)
VICTIMS += %D%/victims/asked.victim
%C%_victims_asked_victim_SOURCES = %D%/victims/asked.c
%C%_victims_asked_victim_LDADD = $(VICTIM_LIBS) $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
VICTIMS += %D%/victims/dispatch.victim
%C%_victims_dispatch_victim_SOURCES = %D%/victims/dispatch.c
%C%_victims_dispatch_victim_LDADD = $(VICTIM_LIBS)
UNIT_TESTS += %D%/unit/bpf
%C%_unit_bpf_SOURCES = %D%/unit/bpf.c
%C%_unit_bpf_LDADD = %D%/lib/libtap.a src/inject/libinject.a \
	src/util/libutil.a
VICTIMS += %D%/victims/creds.victim
%C%_victims_creds_victim_SOURCES = %D%/victims/creds.c
%C%_victims_creds_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/tcp.victim
%C%_victims_tcp_victim_SOURCES = %D%/victims/tcp.c
%C%_victims_tcp_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/connecting.victim
%C%_victims_connecting_victim_SOURCES = %D%/victims/connecting.c
%C%_victims_connecting_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/tcp_stream.victim
%C%_victims_tcp_stream_victim_SOURCES = %D%/victims/tcp_stream.c
%C%_victims_tcp_stream_victim_CFLAGS = $(AM_CFLAGS) -pthread
%C%_victims_tcp_stream_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/udp.victim
%C%_victims_udp_victim_SOURCES = %D%/victims/udp.c
%C%_victims_udp_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/fs.victim
%C%_victims_fs_victim_SOURCES = %D%/victims/fs.c
%C%_victims_fs_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/process.victim
%C%_victims_process_victim_SOURCES = %D%/victims/process.c
%C%_victims_process_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/rlimit.victim
%C%_victims_rlimit_victim_SOURCES = %D%/victims/rlimit.c
%C%_victims_rlimit_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/sched.victim
%C%_victims_sched_victim_SOURCES = %D%/victims/sched.c
%C%_victims_sched_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/sigaction.victim
%C%_victims_sigaction_victim_SOURCES = %D%/victims/sigaction.c
%C%_victims_sigaction_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/sigqueue.victim
%C%_victims_sigqueue_victim_SOURCES = %D%/victims/sigqueue.c
%C%_victims_sigqueue_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/vdso.victim
%C%_victims_vdso_victim_SOURCES = %D%/victims/vdso.c
%C%_victims_vdso_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/vdso_inside.victim
%C%_victims_vdso_inside_victim_SOURCES = %D%/victims/vdso_inside.c
%C%_victims_vdso_inside_victim_LDADD = $(VICTIM_LIBS) src/kernel/libkernel.a \
	src/util/libutil.a

VICTIMS += %D%/victims/timer.victim
%C%_victims_timer_victim_SOURCES = %D%/victims/timer.c
%C%_victims_timer_victim_LDADD = $(VICTIM_LIBS)

# Numbers, not verdicts.  In a directory of the file system that counts.
BENCH_DIR = .
bench: %D%/bench/store %D%/bench/tree %D%/bench/incremental jobcr-puppet
	%D%/bench/store $(BENCH_DIR)
	%D%/bench/incremental $(BENCH_DIR)
	%D%/bench/tree -d $(BENCH_DIR)
.PHONY: bench

noinst_PROGRAMS += %D%/bench/store
%C%_bench_store_SOURCES = %D%/bench/store.c %D%/bench/limit.c \
	%D%/bench/limit.h
%C%_bench_store_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_bench_store_LDADD = %D%/lib/libdrive.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)

noinst_PROGRAMS += %D%/bench/incremental
%C%_bench_incremental_SOURCES = %D%/bench/incremental.c %D%/bench/limit.c \
	%D%/bench/limit.h
%C%_bench_incremental_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_bench_incremental_LDADD = %D%/lib/libdrive.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)

noinst_PROGRAMS += %D%/bench/tree
%C%_bench_tree_SOURCES = %D%/bench/tree.c
%C%_bench_tree_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS) \
	$(JSON_LIBS)

UNIT_TESTS += %D%/unit/churn
%C%_unit_churn_SOURCES = %D%/unit/churn.c
%C%_unit_churn_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/inject/libinject.a src/kernel/libkernel.a src/util/libutil.a

UNIT_TESTS += %D%/unit/frozen
%C%_unit_frozen_SOURCES = %D%/unit/frozen.c %D%/lib/children.c \
	%D%/lib/children.h %D%/lib/called.c %D%/lib/called.h
%C%_unit_frozen_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/inject/libinject.a src/kernel/libkernel.a src/util/libutil.a

UNIT_TESTS += %D%/unit/patience
%C%_unit_patience_SOURCES = %D%/unit/patience.c
%C%_unit_patience_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/refused_sockets
%C%_unit_refused_sockets_SOURCES = %D%/unit/refused_sockets.c
%C%_unit_refused_sockets_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/doors
%C%_unit_doors_SOURCES = %D%/unit/doors.c %D%/lib/children.c \
	%D%/lib/children.h
%C%_unit_doors_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) \
	$(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/freeze
%C%_unit_freeze_SOURCES = %D%/unit/freeze.c %D%/lib/children.c \
	%D%/lib/children.h %D%/lib/called.c %D%/lib/called.h
%C%_unit_freeze_LDADD = %D%/lib/libtap.a src/engine/libengine.a \
	src/inject/libinject.a src/kernel/libkernel.a src/util/libutil.a
VICTIMS += %D%/victims/interrupted.victim
%C%_victims_interrupted_victim_SOURCES = %D%/victims/interrupted.c
%C%_victims_interrupted_victim_LDADD = $(VICTIM_LIBS)
# Not through a restore: it counts what only a job that goes on can count.
check_PROGRAMS += %D%/victims/ticks
%C%_victims_ticks_SOURCES = %D%/victims/ticks.c
%C%_victims_ticks_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/often.t
VICTIMS += %D%/victims/storm.victim
%C%_victims_storm_victim_SOURCES = %D%/victims/storm.c
%C%_victims_storm_victim_LDADD = $(VICTIM_LIBS)

VICTIMS += %D%/victims/thread.victim
%C%_victims_thread_victim_SOURCES = %D%/victims/thread.c
%C%_victims_thread_victim_LDADD = $(VICTIM_LIBS)

# Huge pages are the node's: the test sees to them.
check_PROGRAMS += %D%/lib/hugepages %D%/victims/hugetlb.victim
%C%_lib_hugepages_SOURCES = %D%/lib/hugepages.c
%C%_victims_hugetlb_victim_SOURCES = %D%/victims/hugetlb.c
%C%_victims_hugetlb_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_hugetlb_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)
T_TESTS += %D%/t/hugetlb.t
UNIT_TESTS += %D%/unit/hugetlb
%C%_unit_hugetlb_SOURCES = %D%/unit/hugetlb.c
%C%_unit_hugetlb_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/rights
%C%_unit_rights_SOURCES = %D%/unit/rights.c
%C%_unit_rights_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/cow
%C%_unit_cow_SOURCES = %D%/unit/cow.c
%C%_unit_cow_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/borrow
%C%_unit_borrow_SOURCES = %D%/unit/borrow.c
%C%_unit_borrow_LDADD = %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/witness
%C%_unit_witness_SOURCES = %D%/unit/witness.c
%C%_unit_witness_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/scan
%C%_unit_scan_SOURCES = %D%/unit/scan.c
%C%_unit_scan_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/search
%C%_unit_search_SOURCES = %D%/unit/search.c
%C%_unit_search_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/pages
%C%_unit_pages_SOURCES = %D%/unit/pages.c
%C%_unit_pages_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/bind_child
%C%_unit_bind_child_SOURCES = %D%/unit/bind_child.c
%C%_unit_bind_child_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/affinity
%C%_unit_affinity_SOURCES = %D%/unit/affinity.c
%C%_unit_affinity_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS) $(HWLOC_LIBS)
UNIT_TESTS += %D%/unit/nearby
%C%_unit_nearby_SOURCES = %D%/unit/nearby.c
%C%_unit_nearby_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/watching
%C%_unit_watching_SOURCES = %D%/unit/watching.c
%C%_unit_watching_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/written
%C%_unit_written_SOURCES = %D%/unit/written.c
%C%_unit_written_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a
UNIT_TESTS += %D%/unit/as_user
%C%_unit_as_user_SOURCES = %D%/unit/as_user.c
%C%_unit_as_user_CFLAGS = $(AM_CFLAGS) -pthread
%C%_unit_as_user_LDADD = %D%/lib/libtap.a storage/libstorage.a \
	src/util/libutil.a
UNIT_TESTS += %D%/unit/inlet
%C%_unit_inlet_SOURCES = %D%/unit/inlet.c
%C%_unit_inlet_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a
UNIT_TESTS += %D%/unit/huge
%C%_unit_huge_SOURCES = %D%/unit/huge.c
%C%_unit_huge_LDADD = $(SNAPSHOT_LIBS)

check_PROGRAMS += %D%/victims/refused_memory
%C%_victims_refused_memory_SOURCES = %D%/victims/refused_memory.c
%C%_victims_refused_memory_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_refused_memory_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/refused_memory.t

UNIT_TESTS += %D%/unit/unix_queue
%C%_unit_unix_queue_SOURCES = %D%/unit/unix_queue.c
%C%_unit_unix_queue_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a
UNIT_TESTS += %D%/unit/features
%C%_unit_features_SOURCES = %D%/unit/features.c
%C%_unit_features_LDADD = %D%/lib/libtap.a src/kernel/libkernel.a \
	src/util/libutil.a
check_PROGRAMS += %D%/victims/refused_task
%C%_victims_refused_task_SOURCES = %D%/victims/refused_task.c
%C%_victims_refused_task_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/refused_task.t

check_PROGRAMS += %D%/victims/refused_filter
%C%_victims_refused_filter_SOURCES = %D%/victims/refused_filter.c
%C%_victims_refused_filter_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/refused_filter.t

VICTIMS += %D%/victims/many.victim
%C%_victims_many_victim_SOURCES = %D%/victims/many.c
%C%_victims_many_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_many_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

VICTIMS += %D%/victims/mapped_file.victim
%C%_victims_mapped_file_victim_SOURCES = %D%/victims/mapped_file.c
%C%_victims_mapped_file_victim_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%/lib
%C%_victims_mapped_file_victim_LDADD = %D%/victims/libmapping.a $(VICTIM_LIBS)

T_TESTS += %D%/t/killed.t
T_TESTS += %D%/t/wrapped.t
T_TESTS += %D%/t/harassed.t

check_PROGRAMS += %D%/lib/strike %D%/programs/checked
%C%_lib_strike_SOURCES = %D%/lib/strike.c
%C%_lib_strike_LDADD = src/util/libutil.a
%C%_programs_checked_SOURCES = %D%/programs/checked.c
%C%_programs_checked_CFLAGS = $(AM_CFLAGS) -pthread
%C%_programs_checked_LDADD =
T_TESTS += %D%/t/faults.t
T_TESTS += %D%/t/enospc.t
T_TESTS += %D%/t/hangs.t
T_TESTS += %D%/t/dying.t
T_TESTS += %D%/t/hangs_files.t
T_TESTS += %D%/t/unanswered.t
T_TESTS += %D%/t/containers.t
EXTRA_DIST += %D%/lib/hang.py

# Programs that nobody here wrote.  PROGRAM_ROUNDS=20 for more of them.
check_PROGRAMS += %D%/lib/survive %D%/programs/openmp %D%/programs/torture
%C%_lib_survive_SOURCES = %D%/lib/survive.c
%C%_lib_survive_LDADD = %D%/lib/libdrive.a %D%/lib/libtap.a \
	$(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) $(PACK_LIBS) \
	$(GCRYPT_LIBS)
%C%_programs_openmp_SOURCES = %D%/programs/openmp.c
%C%_programs_openmp_CFLAGS = $(AM_CFLAGS) -fopenmp
%C%_programs_openmp_LDADD =
%C%_programs_torture_SOURCES = %D%/programs/torture.c
%C%_programs_torture_CFLAGS = $(AM_CFLAGS) -pthread
%C%_programs_torture_LDADD =
check_PROGRAMS += %D%/programs/stream
%C%_programs_stream_SOURCES = %D%/programs/stream.c
%C%_programs_stream_CFLAGS = $(AM_CFLAGS) -pthread
%C%_programs_stream_LDADD =
check_PROGRAMS += %D%/programs/pool
%C%_programs_pool_SOURCES = %D%/programs/pool.c
%C%_programs_pool_CFLAGS = $(AM_CFLAGS) -pthread
%C%_programs_pool_LDADD =
T_TESTS += %D%/t/programs.t
T_TESTS += %D%/t/tcp.t
T_TESTS += %D%/t/rehome.t
T_TESTS += %D%/t/peers.t
check_PROGRAMS += %D%/programs/cored
%C%_programs_cored_SOURCES = %D%/programs/cored.c
%C%_programs_cored_CFLAGS = $(AM_CFLAGS) -g
%C%_programs_cored_LDADD =
T_TESTS += %D%/t/core.t
EXTRA_DIST += %D%/programs/agent.sh %D%/programs/asyncio.sh \
	%D%/programs/multiprocessing.sh %D%/programs/nio.sh \
	%D%/programs/node_sockets.sh
EXTRA_DIST += %D%/programs/forks.sh %D%/programs/gromacs.sh \
	%D%/programs/gzip.sh %D%/programs/http.sh \
	%D%/programs/java.sh %D%/programs/make.sh %D%/programs/tmux.sh \
	%D%/programs/mpi.c %D%/programs/mpi.sh %D%/programs/nginx.sh \
	%D%/programs/postgres.sh \
	%D%/programs/node.sh %D%/programs/redis.sh \
	%D%/programs/perl.sh \
	%D%/programs/pipeline.sh %D%/programs/pty.sh %D%/programs/python.sh \
	%D%/programs/restic.sh %D%/programs/ripgrep.sh %D%/programs/script.sh \
	%D%/programs/sqlite.sh %D%/programs/threads.c

T_TESTS += %D%/t/snapshots.t
T_TESTS += %D%/t/diff.t
T_TESTS += %D%/t/put_off.t
T_TESTS += %D%/t/reading.t
T_TESTS += %D%/t/tidy.t
T_TESTS += %D%/t/tidy_fair.t
T_TESTS += %D%/t/tiers.t
T_TESTS += %D%/t/tiers_damaged.t
T_TESTS += %D%/t/tiers_fair.t
T_TESTS += %D%/t/tiers_faults.t
T_TESTS += %D%/t/tiers_room.t
T_TESTS += %D%/t/export.t
EXTRA_DIST += %D%/lib/archives.py %D%/lib/frames.py %D%/lib/seals.py
EXTRA_DIST += %D%/lib/archives.py %D%/lib/seals.py
check_PROGRAMS += %D%/lib/die_at
%C%_lib_die_at_SOURCES = %D%/lib/die_at.c
%C%_lib_die_at_LDADD =
UNIT_TESTS += %D%/unit/seal
%C%_unit_seal_SOURCES = %D%/unit/seal.c
%C%_unit_seal_LDADD = %D%/lib/libtap.a src/snapshot/libsnapshot.a \
	src/wire/libwire.a images/libimages.a images/libproto.a \
	src/util/libutil.a $(PROTOBUF_C_LIBS) $(MUNGE_LIBS) $(GCRYPT_LIBS) \
	$(PACK_LIBS)
UNIT_TESTS += %D%/unit/sealing
%C%_unit_sealing_SOURCES = %D%/unit/sealing.c src/worker/seal.c
%C%_unit_sealing_LDFLAGS = -Wl,--wrap=clock_gettime -Wl,--wrap=nanosleep
%C%_unit_sealing_LDADD = %D%/lib/libtap.a src/wire/libwireproto.a \
	src/util/libutil.a $(PROTOBUF_C_LIBS)
UNIT_TESTS += %D%/unit/work_dir
%C%_unit_work_dir_SOURCES = %D%/unit/work_dir.c src/worker/dir.c
%C%_unit_work_dir_LDADD = %D%/lib/libtap.a src/wire/libwireproto.a \
	storage/libstorage.a src/util/libutil.a $(PROTOBUF_C_LIBS)
EXTRA_DIST += %D%/lib/archives.py %D%/lib/seals.py %D%/lib/spoil.py
UNIT_TESTS += %D%/unit/frame
%C%_unit_frame_SOURCES = %D%/unit/frame.c
%C%_unit_frame_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	src/wire/libwireproto.a src/util/libutil.a $(PROTOBUF_C_LIBS)

UNIT_TESTS += %D%/unit/attempts
%C%_unit_attempts_SOURCES = %D%/unit/attempts.c
%C%_unit_attempts_LDADD = %D%/lib/libtap.a src/operation/liboperation.a \
	storage/libstorage.a src/util/libutil.a $(URING_LIBS)

UNIT_TESTS += %D%/unit/conf
%C%_unit_conf_SOURCES = %D%/unit/conf.c
%C%_unit_conf_LDADD = %D%/lib/libtap.a src/conf/libconf.a \
	src/wire/libwire.a src/util/libutil.a $(CONFUSE_LIBS)

EXTRA_DIST += %D%/lib/flip.sh %D%/lib/jobs.sh %D%/lib/network.sh
T_TESTS += %D%/t/local.t
T_TESTS += %D%/t/checkpoint.t
T_TESTS += %D%/t/interval.t
T_TESTS += %D%/t/incremental.t
T_TESTS += %D%/t/incremental_damaged.t
T_TESTS += %D%/t/incremental_failed.t
T_TESTS += %D%/t/incremental_outside.t
T_TESTS += %D%/t/orphans.t
T_TESTS += %D%/t/supervised.t
T_TESTS += %D%/t/daemon.t
T_TESTS += %D%/t/sandbox.t
T_TESTS += %D%/t/owners.t
EXTRA_DIST += %D%/lib/sandbox.py
T_TESTS += %D%/t/munge.t
T_TESTS += %D%/t/seal.t
T_TESTS += %D%/t/stepped.t

UNIT_TESTS += %D%/unit/cpu
%C%_unit_cpu_SOURCES = %D%/unit/cpu.c
%C%_unit_cpu_LDADD = %D%/lib/libtap.a src/inject/libinject.a \
	src/kernel/libkernel.a src/util/libutil.a

UNIT_TESTS += %D%/unit/vdso
%C%_unit_vdso_SOURCES = %D%/unit/vdso.c
%C%_unit_vdso_LDADD = %D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) \
	$(URING_LIBS) $(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/frames
%C%_unit_frames_SOURCES = %D%/unit/frames.c %D%/lib/forge.c %D%/lib/forge.h
%C%_unit_frames_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/inherited
%C%_unit_inherited_SOURCES = %D%/unit/inherited.c
%C%_unit_inherited_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_sockets
%C%_unit_edited_sockets_SOURCES = %D%/unit/edited_sockets.c
%C%_unit_edited_sockets_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)
	$(PACK_LIBS) $(GCRYPT_LIBS)
UNIT_TESTS += %D%/unit/edited_local
%C%_unit_edited_local_SOURCES = %D%/unit/edited_local.c
%C%_unit_edited_local_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_private
%C%_unit_edited_private_SOURCES = %D%/unit/edited_private.c
%C%_unit_edited_private_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_pty
%C%_unit_edited_pty_SOURCES = %D%/unit/edited_pty.c
%C%_unit_edited_pty_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited
%C%_unit_edited_SOURCES = %D%/unit/edited.c
%C%_unit_edited_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/charged
%C%_unit_charged_SOURCES = %D%/unit/charged.c
%C%_unit_charged_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_ipc
%C%_unit_edited_ipc_SOURCES = %D%/unit/edited_ipc.c
%C%_unit_edited_ipc_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_pidfd
%C%_unit_edited_pidfd_SOURCES = %D%/unit/edited_pidfd.c
%C%_unit_edited_pidfd_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_rseq
%C%_unit_edited_rseq_SOURCES = %D%/unit/edited_rseq.c
%C%_unit_edited_rseq_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/queue_copy
%C%_unit_queue_copy_SOURCES = %D%/unit/queue_copy.c
%C%_unit_queue_copy_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/eventfd_copy
%C%_unit_eventfd_copy_SOURCES = %D%/unit/eventfd_copy.c
%C%_unit_eventfd_copy_LDADD = %D%/lib/libtap.a src/util/libutil.a

UNIT_TESTS += %D%/unit/copy_asked
%C%_unit_copy_asked_SOURCES = %D%/unit/copy_asked.c src/worker/terminal.c
%C%_unit_copy_asked_LDADD = %D%/lib/libtap.a src/wire/libwire.a \
	src/wire/libwireproto.a src/util/libutil.a $(PROTOBUF_C_LIBS)

UNIT_TESTS += %D%/unit/refused_ipc
%C%_unit_refused_ipc_SOURCES = %D%/unit/refused_ipc.c
%C%_unit_refused_ipc_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/edited_net
%C%_unit_edited_net_SOURCES = %D%/unit/edited_net.c
%C%_unit_edited_net_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

UNIT_TESTS += %D%/unit/rehomed
%C%_unit_rehomed_SOURCES = %D%/unit/rehomed.c
%C%_unit_rehomed_LDADD = %D%/lib/libdrive.a %D%/lib/libsample.a \
	%D%/lib/libtap.a $(ENGINE_LIBS) $(PROTOBUF_C_LIBS) $(URING_LIBS) \
	$(PACK_LIBS) $(GCRYPT_LIBS)

check_PROGRAMS += %D%/victims/affinity
%C%_victims_affinity_SOURCES = %D%/victims/affinity.c
%C%_victims_affinity_LDADD = $(VICTIM_LIBS)
T_TESTS += %D%/t/affinity.t

T_TESTS += %D%/t/bandwidth.t
T_TESTS += %D%/t/stripes.t
T_TESTS += %D%/t/thp.t
T_TESTS += %D%/t/stores.t
T_TESTS += %D%/t/kernels.t
T_TESTS += %D%/t/layers.t
T_TESTS += %D%/t/style.t

check_PROGRAMS += $(UNIT_TESTS) $(VICTIMS)
TESTS += $(UNIT_TESTS) $(T_TESTS) $(VICTIMS)
EXTRA_DIST += %D%/vm/init %D%/vm/kernel %D%/vm/run %D%/vm/smoke
EXTRA_DIST += $(T_TESTS) %D%/lib/victims.awk %D%/lib/points.awk
EXTRA_DIST += %D%/bench/RESULTS.md

# Before the summary, when all logs are there: which victim came through what.
# (By the name that TEST_SUITE_LOG has: automake takes the variable for a
# rule that is to replace its own.)
test-suite.log: victims-table
victims-table: $(TEST_LOGS)
	@cat /dev/null $(TEST_LOGS) | \
		LC_ALL=C $(AWK) -f $(srcdir)/%D%/lib/victims.awk
.PHONY: victims-table

include tests/cluster/local.mk
