noinst_LIBRARIES += %D%/libengine.a
%C%_libengine_a_SOURCES = %D%/engine.h
%C%_libengine_a_SOURCES += %D%/freeze.h
%C%_libengine_a_SOURCES += %D%/collect.c %D%/collect.h
%C%_libengine_a_SOURCES += %D%/collect_files.c %D%/collect_maps.c
%C%_libengine_a_SOURCES += %D%/outside.c %D%/outside.h
%C%_libengine_a_SOURCES += %D%/pages.c %D%/pages.h
%C%_libengine_a_SOURCES += %D%/slice.c %D%/slice.h
