dnl APW_CFLAG(FLAG): use FLAG when the compiler knows it.
AC_DEFUN([APW_CFLAG], [
  AS_VAR_PUSHDEF([known], [apw_cv_cflag_$1])
  AC_CACHE_CHECK([whether $CC knows $1], [known], [
    apw_save_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
      [AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])
    CFLAGS=$apw_save_cflags])
  AS_VAR_IF([known], [yes], [APW_CFLAGS="$APW_CFLAGS $1"])
  AS_VAR_POPDEF([known])])

dnl APW_LDFLAG(FLAG): use FLAG when the linker knows it.
AC_DEFUN([APW_LDFLAG], [
  AS_VAR_PUSHDEF([known], [apw_cv_ldflag_$1])
  AC_CACHE_CHECK([whether linking knows $1], [known], [
    apw_save_ldflags=$LDFLAGS
    apw_save_cflags=$CFLAGS
    CFLAGS="$CFLAGS -fPIE"
    LDFLAGS="$LDFLAGS $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM()],
      [AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])
    CFLAGS=$apw_save_cflags
    LDFLAGS=$apw_save_ldflags])
  AS_VAR_IF([known], [yes], [APW_LDFLAGS="$APW_LDFLAGS $1"])
  AS_VAR_POPDEF([known])])

dnl APW_LIB(VAR, PKG-CONFIG MODULES, DEBIAN PACKAGE)
AC_DEFUN([APW_LIB], [
  PKG_CHECK_MODULES([$1], [$2], [],
    [apw_missing="$apw_missing
    $2 (Debian package $3)"])])

dnl APW_LIB_PLAIN(VAR, LIBRARY, HEADER, FUNCTION, DEBIAN PACKAGE): no .pc file.
AC_DEFUN([APW_LIB_PLAIN], [
  apw_have=yes
  AC_CHECK_HEADER([$3], [], [apw_have=no])
  AC_CHECK_LIB([$2], [$4], [AC_SUBST([$1_LIBS], [-l$2])], [apw_have=no])
  AS_IF([test $apw_have = no],
    [apw_missing="$apw_missing
    $2 (Debian package $5)"])])

dnl APW_LIB_OPTIONAL(VAR, PKG-CONFIG MODULES, DEBIAN PACKAGE): for tests only.
AC_DEFUN([APW_LIB_OPTIONAL], [
  PKG_CHECK_MODULES([$1], [$2], [apw_have_$1=yes], [apw_have_$1=no])
  AM_CONDITIONAL([HAVE_$1], [test $apw_have_$1 = yes])])

AC_DEFUN([APW_LIBS_REPORT], [
  AS_IF([test -n "$apw_missing"],
    [AC_MSG_ERROR([these libraries are missing or too old:$apw_missing
On Debian: apt-get install libevent-dev libc-ares-dev libwslay-dev libjansson-dev libcap-ng-dev libssl-dev libseccomp-dev pkg-config])])])

dnl APW_MODULES(NAMES): a --without-NAME each; $apw_modules has what stays.
AC_DEFUN([APW_MODULES], [
  apw_modules=
  m4_foreach_w([apw_name], [$1], [
    AC_ARG_WITH(apw_name,
      [AS_HELP_STRING([--without-]apw_name, [leave this module out])],
      [], [AS_VAR_SET([with_]apw_name, [yes])])
    AS_VAR_IF([with_]apw_name, [no], [],
      [apw_modules="$apw_modules apw_name"])])
  AC_CONFIG_COMMANDS([src/modules/apw_modules.c], [
    AS_MKDIR_P([src/modules])
    {
      echo "/* Written by configure. */"
      echo "#include \"core/apw_module.h\""
      for m in $apw_modules; do
        echo "extern struct apw_module apw_${m}_module;"
      done
      echo "struct apw_module *const apw_modules@<:@@:>@ = {"
      for m in $apw_modules; do
        echo "	&apw_${m}_module,"
      done
      echo "	NULL"
      echo "};"
    } >src/modules/apw_modules.c
  ], [apw_modules="$apw_modules"])])
