package io.thimble.vmm.legacy;

/**
 * What the guest tells the machine through its devices. Called on the vCPU thread that made the access, on several at
 * once, by a device that holds no lock; an implementation notes the event and returns without blocking.
 */
public interface MachineEvents {
    /** The guest entered ACPI S5. */
    void powerOff();

    /**
     * The guest asked for a reset.
     *
     * @param source which device was asked, for example {@code i8042}
     */
    void reset(String source);

    /**
     * The guest's kernel panicked.
     *
     * @param events bits of {@link Pvpanic#PVPANIC_PANICKED} and {@link Pvpanic#PVPANIC_CRASH_LOADED}, at least one
     */
    void panic(int events);

    /**
     * The guest wrote to the debug-exit port.
     *
     * @param code the value written, zero-extended from the size of the access
     */
    void debugExit(int code);
}
