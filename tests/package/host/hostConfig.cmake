# SPDX-License-Identifier: MIT

include(CMakeFindDependencyMacro)
find_dependency(kvstore)
include("${CMAKE_CURRENT_LIST_DIR}/hostTargets.cmake")
