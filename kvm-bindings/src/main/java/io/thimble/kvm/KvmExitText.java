package io.thimble.kvm;

import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import java.util.HexFormat;

/** Words for exit reasons, for reports and logs. */
public final class KvmExitText {
    private KvmExitText() {}

    /** Returns the C name of a {@code KVM_EXIT_*} that x86 has, or {@code KVM_EXIT_} with the number. */
    public static String name(int exitReason) {
        return switch (exitReason) {
            case KvmExits.KVM_EXIT_UNKNOWN -> "KVM_EXIT_UNKNOWN";
            case KvmExits.KVM_EXIT_EXCEPTION -> "KVM_EXIT_EXCEPTION";
            case KvmExits.KVM_EXIT_IO -> "KVM_EXIT_IO";
            case KvmExits.KVM_EXIT_HYPERCALL -> "KVM_EXIT_HYPERCALL";
            case KvmExits.KVM_EXIT_DEBUG -> "KVM_EXIT_DEBUG";
            case KvmExits.KVM_EXIT_HLT -> "KVM_EXIT_HLT";
            case KvmExits.KVM_EXIT_MMIO -> "KVM_EXIT_MMIO";
            case KvmExits.KVM_EXIT_IRQ_WINDOW_OPEN -> "KVM_EXIT_IRQ_WINDOW_OPEN";
            case KvmExits.KVM_EXIT_SHUTDOWN -> "KVM_EXIT_SHUTDOWN";
            case KvmExits.KVM_EXIT_FAIL_ENTRY -> "KVM_EXIT_FAIL_ENTRY";
            case KvmExits.KVM_EXIT_INTR -> "KVM_EXIT_INTR";
            case KvmExits.KVM_EXIT_SET_TPR -> "KVM_EXIT_SET_TPR";
            case KvmExits.KVM_EXIT_TPR_ACCESS -> "KVM_EXIT_TPR_ACCESS";
            case KvmExits.KVM_EXIT_NMI -> "KVM_EXIT_NMI";
            case KvmExits.KVM_EXIT_INTERNAL_ERROR -> "KVM_EXIT_INTERNAL_ERROR";
            case KvmExits.KVM_EXIT_WATCHDOG -> "KVM_EXIT_WATCHDOG";
            case KvmExits.KVM_EXIT_SYSTEM_EVENT -> "KVM_EXIT_SYSTEM_EVENT";
            case KvmExits.KVM_EXIT_IOAPIC_EOI -> "KVM_EXIT_IOAPIC_EOI";
            case KvmExits.KVM_EXIT_HYPERV -> "KVM_EXIT_HYPERV";
            case KvmExits.KVM_EXIT_X86_RDMSR -> "KVM_EXIT_X86_RDMSR";
            case KvmExits.KVM_EXIT_X86_WRMSR -> "KVM_EXIT_X86_WRMSR";
            case KvmExits.KVM_EXIT_DIRTY_RING_FULL -> "KVM_EXIT_DIRTY_RING_FULL";
            case KvmExits.KVM_EXIT_AP_RESET_HOLD -> "KVM_EXIT_AP_RESET_HOLD";
            case KvmExits.KVM_EXIT_X86_BUS_LOCK -> "KVM_EXIT_X86_BUS_LOCK";
            case KvmExits.KVM_EXIT_XEN -> "KVM_EXIT_XEN";
            case KvmExits.KVM_EXIT_NOTIFY -> "KVM_EXIT_NOTIFY";
            case KvmExits.KVM_EXIT_MEMORY_FAULT -> "KVM_EXIT_MEMORY_FAULT";
            case KvmExits.KVM_EXIT_TDX -> "KVM_EXIT_TDX";
            case KvmExits.KVM_EXIT_SNP_REQ_CERTS -> "KVM_EXIT_SNP_REQ_CERTS";
            default -> "KVM_EXIT_" + exitReason;
        };
    }

    /** Returns the name and what the exit carries. */
    static String describe(KvmRun run) {
        String name = name(run.exitReason());
        return switch (run.exitReason()) {
            case KvmExits.KVM_EXIT_UNKNOWN -> "%s: hardware reason 0x%x".formatted(name, run.hardwareExitReason());
            case KvmExits.KVM_EXIT_EXCEPTION ->
                "%s: vector %d, error code 0x%x".formatted(name, run.exception(), run.exceptionErrorCode());
            case KvmExits.KVM_EXIT_IO ->
                "%s: %s port 0x%x, %d x %d bytes"
                        .formatted(name, run.ioIsOut() ? "out" : "in", run.ioPort(), run.ioCount(), run.ioSize());
            case KvmExits.KVM_EXIT_HYPERCALL -> "%s: number %d".formatted(name, run.hypercallNr());
            case KvmExits.KVM_EXIT_DEBUG ->
                "%s: vector %d at 0x%x, dr6 0x%x".formatted(name, run.debugException(), run.debugPc(), run.debugDr6());
            case KvmExits.KVM_EXIT_MMIO ->
                "%s: %s 0x%x, %d bytes"
                        .formatted(name, run.mmioIsWrite() ? "write" : "read", run.mmioPhysAddr(), run.mmioLen());
            case KvmExits.KVM_EXIT_FAIL_ENTRY ->
                "%s: hardware reason 0x%x on CPU %d"
                        .formatted(name, run.hardwareEntryFailureReason(), run.failEntryCpu());
            case KvmExits.KVM_EXIT_INTERNAL_ERROR -> name + ": " + internalError(run);
            case KvmExits.KVM_EXIT_SYSTEM_EVENT -> "%s: type %d".formatted(name, run.systemEventType());
            case KvmExits.KVM_EXIT_IOAPIC_EOI -> "%s: vector %d".formatted(name, run.eoiVector());
            case KvmExits.KVM_EXIT_HYPERV -> "%s: type %d".formatted(name, run.hypervType());
            case KvmExits.KVM_EXIT_X86_RDMSR, KvmExits.KVM_EXIT_X86_WRMSR ->
                "%s: MSR 0x%x, reason %d".formatted(name, run.msrIndex(), run.msrReason());
            case KvmExits.KVM_EXIT_MEMORY_FAULT ->
                "%s: 0x%x, %d bytes, flags 0x%x"
                        .formatted(name, run.memoryFaultGpa(), run.memoryFaultSize(), run.memoryFaultFlags());
            default -> name;
        };
    }

    private static String internalError(KvmRun run) {
        return switch (run.internalSuberror()) {
            case KvmConstants.KVM_INTERNAL_ERROR_EMULATION -> {
                byte[] instruction = run.emulationFailureInsnBytes();
                yield "an instruction that KVM cannot emulate"
                        + (instruction.length == 0
                                ? ""
                                : ": " + HexFormat.ofDelimiter(" ").formatHex(instruction));
            }
            case KvmConstants.KVM_INTERNAL_ERROR_SIMUL_EX -> "exceptions at the same time";
            case KvmConstants.KVM_INTERNAL_ERROR_DELIVERY_EV -> "an exit while an event was delivered";
            case KvmConstants.KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON -> "an exit that KVM did not expect";
            default -> "suberror " + run.internalSuberror();
        };
    }
}
