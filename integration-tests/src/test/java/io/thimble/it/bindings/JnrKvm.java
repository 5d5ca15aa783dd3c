package io.thimble.it.bindings;

import io.thimble.kvm.abi.KvmIoctls;
import io.thimble.kvm.abi.KvmUserspaceMemoryRegionLayout;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.MmanConstants;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import org.jspecify.annotations.Nullable;

/**
 * A VM made through JNR-FFI: another way into the same kernel that shares nothing with the bindings but the constants,
 * which a C compiler has checked. It has one memory slot at 0 and one vCPU.
 */
final class JnrKvm implements AutoCloseable {
    /** The functions of the C library. */
    public interface LibC {
        int open(String path, int flags);

        int close(int fd);

        int ioctl(int fd, long request, long argument);

        Pointer mmap(@Nullable Pointer address, long length, int prot, int flags, int fd, long offset);

        int munmap(Pointer address, long length);
    }

    private static final LibC C = LibraryLoader.create(LibC.class).load("c");
    private static final Runtime RUNTIME = Runtime.getRuntime(C);
    private static final int READ_WRITE = MmanConstants.PROT_READ | MmanConstants.PROT_WRITE;

    private final int memorySize;
    private final Pointer memory;
    private final int kvm;
    private final int vm;
    private final int vcpu;
    private final int runSize;
    private final Pointer run;

    JnrKvm(int memorySize) {
        this.memorySize = memorySize;
        memory = C.mmap(null, memorySize, READ_WRITE, MmanConstants.MAP_PRIVATE | MmanConstants.MAP_ANONYMOUS, -1, 0);
        kvm = checked("open", C.open("/dev/kvm", FcntlConstants.O_RDWR | FcntlConstants.O_CLOEXEC));
        vm = checked("KVM_CREATE_VM", C.ioctl(kvm, KvmIoctls.KVM_CREATE_VM, 0));
        Pointer region = allocate((int) KvmUserspaceMemoryRegionLayout.SIZEOF);
        region.putLong(KvmUserspaceMemoryRegionLayout.OFFSETOF_MEMORY_SIZE, memorySize);
        region.putLong(KvmUserspaceMemoryRegionLayout.OFFSETOF_USERSPACE_ADDR, memory.address());
        checked("memory", C.ioctl(vm, KvmIoctls.KVM_SET_USER_MEMORY_REGION, region.address()));
        vcpu = checked("KVM_CREATE_VCPU", C.ioctl(vm, KvmIoctls.KVM_CREATE_VCPU, 0));
        runSize = system(KvmIoctls.KVM_GET_VCPU_MMAP_SIZE, 0);
        run = C.mmap(null, runSize, READ_WRITE, MmanConstants.MAP_SHARED, vcpu, 0);
    }

    static Pointer allocate(int size) {
        return RUNTIME.getMemoryManager().allocateDirect(size, true);
    }

    private static int checked(String operation, int result) {
        if (result < 0) {
            throw new AssertionError(operation + " failed");
        }
        return result;
    }

    /** Makes an ioctl of the system; the result is -1 for every error. */
    int system(long request, long argument) {
        return C.ioctl(kvm, request, argument);
    }

    /** Makes an ioctl of the vCPU; the result is -1 for every error. */
    int vcpu(long request, Pointer argument) {
        return C.ioctl(vcpu, request, argument.address());
    }

    /** Runs the guest to its next exit. */
    void run() {
        checked("KVM_RUN", C.ioctl(vcpu, KvmIoctls.KVM_RUN, 0));
    }

    void write(long address, byte[] bytes) {
        memory.put(address, bytes, 0, bytes.length);
    }

    /** Copies the first {@code size} bytes of the page shared with the kernel. */
    byte[] kvmRun(int size) {
        return bytes(run, size);
    }

    static byte[] bytes(Pointer pointer, int size) {
        byte[] bytes = new byte[size];
        pointer.get(0, bytes, 0, size);
        return bytes;
    }

    @Override
    public void close() {
        C.munmap(run, runSize);
        C.close(vcpu);
        C.close(vm);
        C.close(kvm);
        C.munmap(memory, memorySize);
    }
}
