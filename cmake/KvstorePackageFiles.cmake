# SPDX-License-Identifier: MIT
#
# Run by CPack on the files of the package before it packs them: gives them the
# names, the form and the places that Debian has for them.

set(root "${CPACK_TEMPORARY_INSTALL_DIRECTORY}")
set(documents "${root}/${CPACK_KVSTORE_DOCDIR}")
set(zsh "${root}/${CPACK_KVSTORE_DATADIR}/zsh")
set(archive "${root}/${CPACK_KVSTORE_LIBDIR}/libkvstore.a")

# The same file always becomes the same bytes.
function(compress file)
  execute_process(COMMAND gzip -9n "${file}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB pages "${root}/${CPACK_KVSTORE_MANDIR}/man*/*")
foreach(page IN LISTS pages)
  compress("${page}")
endforeach()
file(RENAME "${documents}/LICENSE" "${documents}/copyright")
file(CREATE_LINK copyright "${documents}/LICENSE" SYMBOLIC)

# Debian's form of a changelog, which leads to the project's own.
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${documents}/changelog"
  "kvstore (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium\n\n"
  "  * What has changed is in /${CPACK_KVSTORE_DOCDIR}/docs/changelog.md.\n\n"
  " -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${now}\n")
compress("${documents}/changelog")

# Where Debian's zsh looks.
file(MAKE_DIRECTORY "${zsh}/vendor-completions")
file(RENAME "${zsh}/site-functions/_kvstore" "${zsh}/vendor-completions/_kvstore")
file(REMOVE_RECURSE "${zsh}/site-functions")

# CPack strips programs and shared libraries by itself.
if(EXISTS "${archive}")
  execute_process(
    COMMAND "${CPACK_KVSTORE_STRIP}" --strip-debug
      --enable-deterministic-archives "${archive}"
    COMMAND_ERROR_IS_FATAL ANY)
endif()
