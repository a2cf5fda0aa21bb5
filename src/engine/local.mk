noinst_LIBRARIES += %D%/libengine.a
%C%_libengine_a_SOURCES = %D%/engine.h
%C%_libengine_a_SOURCES += %D%/freeze.h
%C%_libengine_a_SOURCES += %D%/pages.c %D%/pages.h
%C%_libengine_a_SOURCES += %D%/slice.c %D%/slice.h
