package io.thimble.linux;

import io.thimble.linux.abi.PrctlConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.Callable;

/** A thread for which one system call fails with an error of the test's choice (seccomp(2)): how a sandbox forbids it. */
final class SeccompThread {
    // linux/seccomp.h
    private static final int SECCOMP_SET_MODE_FILTER = 1;
    private static final int SECCOMP_RET_ERRNO = 0x0005_0000;
    private static final int SECCOMP_RET_ALLOW = 0x7fff_0000;
    // linux/bpf_common.h: load a word of struct seccomp_data, which begins with the number; jump if equal; return
    private static final int LOAD_WORD = 0x20;
    private static final int JUMP_IF_EQUAL = 0x15;
    private static final int RETURN = 0x06;

    private SeccompThread() {}

    static <T> T call(long refused, int errno, Callable<T> body) throws Exception {
        return BlockedThread.start(() -> {
                    refuse(refused, errno);
                    return body.call();
                })
                .result();
    }

    /** {@code struct sock_filter { __u16 code; __u8 jt, jf; __u32 k; }}, and a struct sock_fprog that points to four. */
    private static void refuse(long nr, int errno) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment filter = arena.allocate(4 * Long.BYTES, Long.BYTES);
            instruction(filter, 0, LOAD_WORD, 0, 0, 0);
            instruction(filter, 1, JUMP_IF_EQUAL, 0, 1, (int) nr);
            instruction(filter, 2, RETURN, 0, 0, SECCOMP_RET_ERRNO | errno);
            instruction(filter, 3, RETURN, 0, 0, SECCOMP_RET_ALLOW);
            MemorySegment program = arena.allocate(2 * Long.BYTES, Long.BYTES);
            program.set(ValueLayout.JAVA_SHORT, 0, (short) 4);
            program.set(ValueLayout.JAVA_LONG, Long.BYTES, filter.address());
            LinuxException.check(
                    "no_new_privs",
                    Syscall.call(Syscalls.SYS_prctl, PrctlConstants.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
            LinuxException.check(
                    "seccomp", Syscall.call(Syscalls.SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program.address()));
        }
    }

    private static void instruction(MemorySegment filter, int index, int code, int jumpTrue, int jumpFalse, int k) {
        long at = (long) index * Long.BYTES;
        filter.set(ValueLayout.JAVA_SHORT, at, (short) code);
        filter.set(ValueLayout.JAVA_BYTE, at + 2, (byte) jumpTrue);
        filter.set(ValueLayout.JAVA_BYTE, at + 3, (byte) jumpFalse);
        filter.set(ValueLayout.JAVA_INT, at + 4, k);
    }
}
