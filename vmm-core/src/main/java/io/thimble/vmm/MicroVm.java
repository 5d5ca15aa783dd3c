package io.thimble.vmm;

import io.thimble.virtio.block.BlockHandle;
import io.thimble.vmm.guest.AgentClient;
import io.thimble.vmm.guest.AgentConnector;
import io.thimble.vmm.guest.CommandStreams;
import io.thimble.vmm.machine.Machine;
import java.io.IOException;
import java.nio.channels.ByteChannel;
import java.nio.file.Path;
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
    private static final Duration AGENT_DEADLINE = Duration.ofSeconds(30);

    private final MachineConfig config;
    private final Optional<CommandStreams> streams;
    private final Machine machine;
    private final Vsock vsock;
    private final AgentClient agent = new AgentClient(this::connectToAgent);

    MicroVm(MachineConfig config, Optional<CommandStreams> streams) {
        this.config = config;
        this.streams = streams;
        this.machine = new Machine(config, streams);
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
        streams.ifPresent(this::startStreams);
    }

    /** Comes before the guest's first program: its kernel has to boot yet. */
    private void startStreams(CommandStreams commandStreams) {
        if (!config.guest().connected()) {
            commandStreams.onConsole();
            return;
        }
        try {
            VsockListener listener = vsock.listen(AgentConnector.SESSION_PORT, 1);
            commandStreams.start(name(), () -> {
                try (listener) {
                    return listener.accept();
                }
            });
        } catch (IOException | IllegalStateException _) {
            commandStreams.onConsole(); // it has ended already
        }
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
     * Returns the VM's balloon.
     *
     * @throws IllegalStateException if the VM is not RUNNING or PAUSED, or has none; a handle got before still works
     */
    public GuestBalloon balloon() {
        return machine.balloon();
    }

    /**
     * Returns the VM's network cards, in the order in which the builder got them.
     *
     * @throws IllegalStateException if the VM is not RUNNING or PAUSED; a handle got before still works
     */
    public List<GuestNetwork> networks() {
        return machine.networks();
    }

    private ByteChannel connectToAgent() throws IOException {
        try {
            if (!awaitReady(AGENT_DEADLINE)) {
                throw new GuestException(
                        GuestException.Problem.NO_AGENT,
                        name() + " is " + state() + ", and no guest agent has said that it is ready");
            }
            return vsock.connect(AgentConnector.PORT, AGENT_DEADLINE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new GuestException(
                    GuestException.Problem.NO_AGENT, "interrupted before the guest agent was ready", e);
        } catch (IllegalStateException e) {
            throw new GuestException(GuestException.Problem.NO_AGENT, String.valueOf(e.getMessage()), e);
        }
    }

    /**
     * Starts a program in the guest, without a shell in between, as root and on pipes; {@link #program} has more choices. Waits until
     * the guest's agent is ready, at most half a minute.
     *
     * @throws GuestException if it cannot be started, or the guest has no agent
     * @throws IllegalArgumentException if an argument could not be handed over
     */
    public GuestProcess exec(String... programAndArguments) throws GuestException {
        return program(programAndArguments).start();
    }

    /** Begins the description of a program that is to run in the guest. */
    public ExecBuilder program(String... programAndArguments) {
        return new ExecBuilder(agent, List.of(programAndArguments));
    }

    /** As {@link #copyIn(Path, String, CopyOptions)} with {@link CopyOptions#DEFAULTS}. */
    public CopyResult copyIn(Path source, String target) throws IOException {
        return copyIn(source, target, CopyOptions.DEFAULTS);
    }

    /**
     * Copies a file, or a directory with all that is in it, into the guest: contents, permissions, times of modification, symbolic
     * links as links, holes. Hard links become files of their own; devices, sockets and named pipes below {@code source} are left out.
     * Directories on the way to {@code target} are made. A directory that is there already is added to, a file or link replaced.
     *
     * @param source of the host; if it is a symbolic link, what it points to
     * @param target the copy's path in the guest; if it ends with a slash, the directory that gets the copy under its own name
     * @throws GuestException if the guest cannot take it, has no agent, or a limit is reached
     * @throws java.nio.file.FileSystemException if the host cannot read it
     */
    public CopyResult copyIn(Path source, String target, CopyOptions options) throws IOException {
        return agent.copyIn(source, target, options);
    }

    /** As {@link #copyOut(String, Path, CopyOptions)} with {@link CopyOptions#DEFAULTS}. */
    public CopyResult copyOut(String source, Path target) throws IOException {
        return copyOut(source, target, CopyOptions.DEFAULTS);
    }

    /**
     * Copies a file or a directory out of the guest, as {@link #copyIn(Path, String, CopyOptions)} does the other way. Whatever the guest
     * sends, nothing is written but {@code target} and what is below it: no name leads elsewhere, no symbolic link is followed, set-id and
     * sticky bits are dropped, and there are files, directories and links only. A link may point anywhere: who follows it later decides.
     *
     * @param source a path in the guest; if it is a symbolic link, what it points to
     * @param target the copy's path; the directory that it is in must exist
     * @throws GuestException if the guest cannot give it, has no agent, or a limit is reached
     * @throws java.nio.file.FileSystemException if the host cannot write it
     */
    public CopyResult copyOut(String source, Path target, CopyOptions options) throws IOException {
        return agent.copyOut(source, target, options);
    }

    /** Asks the guest's agent how the guest is. */
    public GuestStatus guestStatus() throws GuestException {
        return agent.status();
    }

    /**
     * Returns the disks, in the builder's order, to resize them, to change their rates and to see what they have done; empty
     * before the start.
     */
    public List<BlockHandle> disks() {
        return machine.disks();
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
