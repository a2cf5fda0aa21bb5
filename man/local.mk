dist_man_MANS += %D%/spank_jobcr.8

# The schema's part of the page is made from the schema.
man_MANS = %D%/jobcr-images.5
CLEANFILES += %D%/jobcr-images.5
EXTRA_DIST += %D%/jobcr-images.5.in %D%/records.awk %D%/page.sh
%D%/jobcr-images.5: %D%/jobcr-images.5.in %D%/records.awk %D%/page.sh \
		images/limits.h $(PROTOS)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	AWK='$(AWK)' VERSION='$(VERSION)' \
	$(SHELL) $(srcdir)/%D%/page.sh $(srcdir) >$@.tmp && mv $@.tmp $@
dist_man_MANS += %D%/jobcr.1
dist_man_MANS += %D%/jobcr.7
dist_man_MANS += %D%/jobcr.conf.5
dist_man_MANS += %D%/jobcrd.8
