package io.thimble.vmm;

import io.thimble.vmm.machine.Machine;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A virtual machine inside this process.
 *
 * {@snippet :
 * try (MicroVm vm = MicroVm.builder().command("uname", "-a").console(System.out).start()) {
 *     ExitReport report = vm.await();
 *     System.exit(report.commandStatus().orElse(1));
 * }
 * }
 *
 * <p>Its life is {@link VmState}: CREATED, RUNNING and PAUSED in turn, STOPPED. Every method may be called from any
 * thread in any state; a method that makes no sense in a state says so with {@link IllegalStateException}. A VM that has
 * stopped, or that failed to start, holds no thread, descriptor or mapping any more.
 */
public final class MicroVm implements AutoCloseable {
    private final Machine machine;
    private final Vsock vsock;

    MicroVm(MachineConfig config) {
        this.machine = new Machine(config);
        this.vsock = new Vsock(machine);
    }

    /** Begins a VM: the bundled Linux, 1 vCPU, 256 MiB. */
    public static MicroVmBuilder builder() {
        return new MicroVmBuilder();
    }

    /** Returns the name given by the builder. */
    public String name() {
        return machine.name();
    }

    /** Returns where the VM is in its life. */
    public VmState state() {
        return machine.state();
    }

    /**
     * Sets the VM up and lets its vCPUs run; returns when their threads have started.
     *
     * @throws MicroVmException if something is missing or wrong; the VM is then STOPPED and holds nothing
     * @throws IllegalStateException if it was started or closed before
     */
    public void start() {
        machine.start();
    }

    /**
     * Stops the vCPUs where they are, until {@link #resume}. Returns when none is in the guest any more. Without effect
     * on a paused VM.
     *
     * @throws IllegalStateException if it is not RUNNING or PAUSED
     */
    public void pause() {
        machine.pause();
    }

    /**
     * Lets a paused VM go on. Without effect on a running one.
     *
     * @throws IllegalStateException if it is not RUNNING or PAUSED
     */
    public void resume() {
        machine.resume();
    }

    /**
     * Asks the guest to power off - through the guest agent, then by the ACPI power button - and kills it at the
     * deadline. A paused VM is resumed for that.
     *
     * @param deadline how long the guest may take
     * @return how it ended, {@link ExitReason#KILLED} if it did not obey
     * @throws IllegalStateException if it was never started
     * @throws InterruptedException if the thread is interrupted meanwhile; the request stands, the deadline does not
     */
    public ExitReport stop(Duration deadline) throws InterruptedException {
        return machine.stop(deadline);
    }

    /** Ends the VM at once; does not wait for it. Without effect on one that has stopped. */
    public void kill() {
        machine.kill("killed by the host");
    }

    /**
     * Waits until the VM has stopped.
     *
     * @return how it ended
     * @throws IllegalStateException if it was never started
     */
    public ExitReport await() throws InterruptedException {
        return machine.await();
    }

    /**
     * Waits until the VM has stopped, but not longer than {@code deadline}.
     *
     * @return how it ended, or empty if it still runs
     * @throws IllegalStateException if it was never started
     */
    public Optional<ExitReport> await(Duration deadline) throws InterruptedException {
        return machine.await(deadline);
    }

    /**
     * Waits until the guest agent runs the command (or the shell).
     *
     * @return whether it does; false at the deadline, or when the VM stopped before
     */
    public boolean awaitReady(Duration deadline) throws InterruptedException {
        return machine.awaitReady(deadline);
    }

    /**
     * Sends characters to the console, as if typed.
     *
     * @return how many were taken, 0..length; the rest has no room until the guest reads
     * @throws IllegalStateException if it is not RUNNING or PAUSED, or the builder gave the console an input stream
     */
    public int type(byte[] characters, int offset, int length) {
        return machine.type(characters, offset, length);
    }

    /** Tells the guest's console how large the terminal is, 1..65535 each. */
    public void setWindowSize(int rows, int columns) {
        machine.setWindowSize(rows, columns);
    }

    /**
     * Presses the ACPI power button.
     *
     * @throws IllegalStateException if the VM is not running
     */
    public void pressPowerButton() {
        machine.pressPowerButton();
    }

    /**
     * Presses Ctrl-Alt-Del on the keyboard.
     *
     * @throws IllegalStateException if the VM is not running
     */
    public void pressCtrlAltDel() {
        machine.pressCtrlAltDel();
    }

    /** Returns the streams between this process and programs in the guest. */
    public Vsock vsock() {
        return vsock;
    }

    /**
     * Returns the VM's network cards, in the order in which the builder got them.
     *
     * @throws IllegalStateException if the VM is not RUNNING or PAUSED; a handle got before still works
     */
    public List<GuestNetwork> networks() {
        return machine.networks();
    }

    /** Returns where the time went since the start. */
    public Timeline timeline() {
        return machine.timeline();
    }

    /**
     * Returns what kernel was found, in one line: its file, what it was unpacked from, its format, where it lies in the guest's
     * memory and where it is entered; empty before the start.
     */
    public Optional<String> kernelDescription() {
        return machine.kernelDescription();
    }

    /** Returns what the VM has done so far. */
    public VmStatistics statistics() {
        return machine.statistics();
    }

    /** Kills the VM if it has not stopped, and waits until it holds nothing any more. */
    @Override
    public void close() {
        machine.close();
    }

    @Override
    public String toString() {
        return "MicroVm " + name() + " (" + state() + ")";
    }
}
