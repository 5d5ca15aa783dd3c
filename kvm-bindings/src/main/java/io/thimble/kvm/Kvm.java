package io.thimble.kvm;

import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmIoctls;
import io.thimble.kvm.abi.KvmMsrListLayout;
import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Syscall;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The KVM system: {@code /dev/kvm} and its ioctls (api.rst, "System ioctls").
 *
 * <p>All methods but {@link #close} may be called from any thread. VMs live on after {@code close}.
 */
public final class Kvm implements AutoCloseable {
    /** Where the kernel offers KVM. */
    public static final String DEVICE = "/dev/kvm";

    /** The only API version there is since Linux 2.6.22. */
    public static final int API_VERSION = 12;

    private static final int MAX_CPUID_ENTRIES = 4096;

    private final Fd fd;
    private final int vcpuMmapSize;

    private Kvm(Fd fd) {
        this.fd = fd;
        this.vcpuMmapSize =
                (int) KvmException.checked("KVM_GET_VCPU_MMAP_SIZE", ioctl(KvmIoctls.KVM_GET_VCPU_MMAP_SIZE, 0));
    }

    /**
     * Opens {@code /dev/kvm}.
     *
     * @throws KvmException if it is missing, not permitted, or not of API version 12; the message names the remedy
     */
    public static Kvm open() {
        return open(DEVICE);
    }

    /** Likewise, for a device node elsewhere. */
    public static Kvm open(String path) {
        Fd fd;
        try {
            fd = Fd.open(path, FcntlConstants.O_RDWR);
        } catch (LinuxException e) {
            throw new KvmException(path, e.errno(), openRemedy(e.errno()));
        }
        try {
            long version = Syscall.ioctl(fd.number(), KvmIoctls.KVM_GET_API_VERSION, 0);
            if (version != API_VERSION) {
                throw new KvmException(
                        path + ": KVM_GET_API_VERSION",
                        version < 0 ? (int) -version : Errnos.EPROTO,
                        "this is not a KVM device of API version " + API_VERSION);
            }
            return new Kvm(fd);
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }

    private static String openRemedy(int errno) {
        return switch (errno) {
            case Errnos.ENOENT, Errnos.ENODEV, Errnos.ENXIO ->
                "load the module (modprobe kvm_intel or kvm_amd); if that fails, enable virtualization in the"
                        + " firmware, or nested virtualization where this host is itself a virtual machine";
            case Errnos.EACCES, Errnos.EPERM -> "add the user to group kvm (usermod -aG kvm USER) and log in again";
            case Errnos.EMFILE -> "raise the limit of open files (ulimit -n)";
            default -> "";
        };
    }

    private long ioctl(long request, long argument) {
        return Syscall.ioctl(fd.number(), request, argument);
    }

    /** Returns the API version: 12. */
    public int apiVersion() {
        return (int) KvmException.checked("KVM_GET_API_VERSION", ioctl(KvmIoctls.KVM_GET_API_VERSION, 0));
    }

    /** Returns what {@code KVM_CHECK_EXTENSION} says of a {@code KVM_CAP_*}: 0 if absent, else 1 or a figure. */
    public int checkExtension(int capability) {
        return (int) KvmException.checked("KVM_CHECK_EXTENSION", ioctl(KvmIoctls.KVM_CHECK_EXTENSION, capability));
    }

    /** Returns the size of the {@code kvm_run} mapping of each vCPU, in bytes. */
    public int vcpuMmapSize() {
        return vcpuMmapSize;
    }

    /** Returns how many vCPUs a VM can have: {@code KVM_CAP_MAX_VCPUS}. */
    public int maxVcpus() {
        return Math.max(1, checkExtension(KvmCaps.KVM_CAP_MAX_VCPUS));
    }

    /** Returns the CPUID leaves that the host's processor and KVM support ({@code KVM_GET_SUPPORTED_CPUID}). */
    public List<CpuidEntry> supportedCpuid() {
        return cpuid("KVM_GET_SUPPORTED_CPUID", KvmIoctls.KVM_GET_SUPPORTED_CPUID);
    }

    /** Returns the CPUID features that KVM emulates in software ({@code KVM_GET_EMULATED_CPUID}). */
    public List<CpuidEntry> emulatedCpuid() {
        return cpuid("KVM_GET_EMULATED_CPUID", KvmIoctls.KVM_GET_EMULATED_CPUID);
    }

    private List<CpuidEntry> cpuid(String operation, long request) {
        for (int capacity = 256; ; capacity *= 2) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment cpuid = CpuidEntry.allocate(arena, capacity);
                long result = ioctl(request, cpuid.address());
                if (result == -Errnos.E2BIG && capacity < MAX_CPUID_ENTRIES) {
                    continue;
                }
                KvmException.checked(operation, result);
                return CpuidEntry.decode(cpuid);
            }
        }
    }

    /** Returns the MSRs that a VM's state consists of ({@code KVM_GET_MSR_INDEX_LIST}). */
    public int[] msrIndexList() {
        return msrList("KVM_GET_MSR_INDEX_LIST", KvmIoctls.KVM_GET_MSR_INDEX_LIST);
    }

    /** Returns the MSRs that describe the host's features ({@code KVM_GET_MSR_FEATURE_INDEX_LIST}). */
    public int[] msrFeatureIndexList() {
        return msrList("KVM_GET_MSR_FEATURE_INDEX_LIST", KvmIoctls.KVM_GET_MSR_FEATURE_INDEX_LIST);
    }

    private int[] msrList(String operation, long request) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(KvmMsrListLayout.SIZEOF, Long.BYTES);
            long result = ioctl(request, count.address());
            if (result >= 0) {
                return new int[0];
            }
            if (result != -Errnos.E2BIG) {
                throw new KvmException(operation, (int) -result);
            }
            int n = count.get(ValueLayout.JAVA_INT, KvmMsrListLayout.OFFSETOF_NMSRS);
            MemorySegment list =
                    arena.allocate(KvmMsrListLayout.OFFSETOF_INDICES + (long) n * Integer.BYTES, Long.BYTES);
            list.set(ValueLayout.JAVA_INT, KvmMsrListLayout.OFFSETOF_NMSRS, n);
            KvmException.checked(operation, ioctl(request, list.address()));
            return list.asSlice(KvmMsrListLayout.OFFSETOF_INDICES, (long) n * Integer.BYTES)
                    .toArray(ValueLayout.JAVA_INT);
        }
    }

    /**
     * Creates an empty VM.
     *
     * @throws KvmException {@code EMFILE} if no descriptor is left, and whatever else the kernel says
     */
    public KvmVm createVm() {
        long result;
        do {
            result = ioctl(KvmIoctls.KVM_CREATE_VM, 0);
        } while (result == -Errnos.EINTR);
        return new KvmVm(this, new Fd((int) KvmException.checked("KVM_CREATE_VM", result), "kvm-vm"));
    }

    @Override
    public void close() {
        fd.close();
    }
}
