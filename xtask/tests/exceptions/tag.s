# The tag of C++ exceptions: clang before 20 defines it in every object, weakly, and
# libunwind does for newer ones.
	.globl	__cpp_exception
	.tagtype	__cpp_exception i32
__cpp_exception:
