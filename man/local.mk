dist_man_MANS += %D%/spank_jobcr.8
