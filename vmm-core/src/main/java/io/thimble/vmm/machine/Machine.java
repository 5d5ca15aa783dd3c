package io.thimble.vmm.machine;

import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.Errnos;
import io.thimble.virtio.block.BlockHandle;
import io.thimble.virtio.vsock.VsockDevice;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.GuestNetwork;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.Timeline;
import io.thimble.vmm.VmState;
import io.thimble.vmm.VmStatistics;
import io.thimble.vmm.agent.ControlChannel;
import io.thimble.vmm.agent.StopAction;
import io.thimble.vmm.boot.KernelImage;
import io.thimble.vmm.event.EventLoop;
import io.thimble.vmm.guest.CommandStreams;
import io.thimble.vmm.vcpu.Vcpu;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The life of a VM.
 *
 * <p>Rules that keep it free of races and deadlocks:
 * <ol>
 *   <li>{@link #lifeLock} orders start, pause, resume and the last step to STOPPED. Whoever holds it may wait for vCPUs to
 *       park, never for a listener or for the guest.
 *   <li>The first {@link #terminate} decides the {@link Ending}; it takes no lock of the life, so that a device, a vCPU or
 *       any other thread can call it at any time, and it does not wait.
 *   <li>The event loop's thread alone tears down, after the ending is decided; it holds no lock while it waits for the
 *       vCPU threads, and takes {@link #lifeLock} only for the step to STOPPED.
 * </ol>
 */
public final class Machine {
    /** A class of its own, so that a start does not wait for the logger's set-up. */
    private static final class Log {
        static final Logger LOG = LoggerFactory.getLogger(Machine.class);
    }

    private static final Duration CONSOLE_DRAIN = Duration.ofSeconds(2);

    /** How the VM ends; the first one counts. */
    private record Ending(ExitReason reason, String detail, OptionalInt debugExitCode, String registers) {
        static Ending of(ExitReason reason, String detail) {
            return new Ending(reason, detail, OptionalInt.empty(), "");
        }
    }

    private final MachineConfig config;
    private final Optional<CommandStreams> streams;
    private final ListenerQueue listeners;
    private final TimelineRecorder timeline = new TimelineRecorder();
    private final GuestEvents events = new GuestEvents(this);

    private final ReentrantLock lifeLock = new ReentrantLock();
    private final AtomicReference<@Nullable Ending> ending = new AtomicReference<>();
    private final CountDownLatch readyOrEnded = new CountDownLatch(1);
    private final CountDownLatch stopped = new CountDownLatch(1);
    private volatile VmState state = VmState.CREATED; // written under lifeLock
    private volatile @Nullable Hardware hardware; // written under lifeLock, cleared by the teardown
    private volatile @Nullable EventLoop loop;
    private volatile @Nullable ExitReport report; // written before stopped opens
    private volatile @Nullable VmStatistics lastStatistics;
    private volatile @Nullable KernelImage kernel;
    private volatile List<BlockHandle> disks = List.of();

    /**
     * Makes a machine that holds nothing yet.
     *
     * @param streams of the command, where they are not the console
     */
    public Machine(MachineConfig config, Optional<CommandStreams> streams) {
        this.config = config;
        this.streams = streams;
        this.listeners = new ListenerQueue(config.name(), config.listeners());
    }

    /** See {@link io.thimble.vmm.MicroVm#name}. */
    public String name() {
        return config.name();
    }

    /** See {@link io.thimble.vmm.MicroVm#state}. */
    public VmState state() {
        return state;
    }

    private void enter(VmState newState) {
        state = newState;
        listeners.add(l -> l.stateChanged(newState));
    }

    /** See {@link io.thimble.vmm.MicroVm#start}. */
    public void start() {
        Throwable failure;
        lifeLock.lock();
        try {
            if (state != VmState.CREATED) {
                throw new IllegalStateException(name() + " is " + state + ": a VM starts once");
            }
            timeline.begin();
            Hardware built = build();
            enter(VmState.RUNNING);
            failure = startVcpus(built);
        } finally {
            lifeLock.unlock();
        }
        if (failure != null) {
            close();
            throw refused(failure);
        }
    }

    /** Makes everything but the vCPUs' threads; if that fails, the VM is STOPPED and holds nothing. */
    private Hardware build() {
        EventLoop newLoop = null;
        Hardware newHardware = null;
        try {
            newLoop = new EventLoop("thimble-" + name() + "-io", this::loopFailed);
            newHardware = Hardware.build(config, newLoop, events, timeline);
            newLoop.start();
            hardware = newHardware;
            kernel = newHardware.kernel();
            disks = newHardware.disks();
            loop = newLoop;
            return newHardware;
        } catch (RuntimeException | Error e) {
            if (newHardware != null) {
                newHardware.discard();
            }
            if (newLoop != null) {
                newLoop.discard();
            }
            enter(VmState.STOPPED);
            stopped.countDown();
            readyOrEnded.countDown();
            throw refused(e);
        }
    }

    /** Tells by which exception a start fails because of {@code e}; rethrows what is not the host's doing. */
    private static RuntimeException refused(Throwable e) {
        if (e instanceof LinuxException linux) {
            String remedy = linux.errno() == Errnos.EMFILE ? " - raise the limit of open files (ulimit -n)" : "";
            return new MicroVmException(Problem.HOST, linux.getMessage() + remedy, linux);
        }
        if (e instanceof OutOfMemoryError) {
            return new MicroVmException(
                    Problem.HOST,
                    e.getMessage() + " - raise the limit of processes (ulimit -u, pids cgroup) or give the JVM more",
                    e);
        }
        if (e instanceof Error error) {
            throw error;
        }
        return (RuntimeException) e;
    }

    /** Starts the vCPUs' threads; returns what prevented it, with the VM's end under way, or null. */
    private @Nullable Throwable startVcpus(Hardware built) {
        try {
            built.vcpus().forEach(Vcpu::start);
            return null;
        } catch (RuntimeException | Error e) {
            terminate(Ending.of(ExitReason.CRASH, "no thread for a vCPU: " + e.getMessage()));
            return e;
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#pause}. */
    public void pause() {
        lifeLock.lock();
        try {
            Hardware running = requireAlive("pause");
            if (state == VmState.RUNNING) {
                running.vcpus().forEach(Vcpu::requestPark);
                running.vcpus().forEach(Vcpu::awaitParked);
                running.devices().pause();
                Ending ended = ending.get();
                if (ended != null) {
                    throw new IllegalStateException(
                            name() + " ended before it could be paused: " + ended.reason + " " + ended.detail);
                }
                enter(VmState.PAUSED);
            }
        } finally {
            lifeLock.unlock();
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#resume}. */
    public void resume() {
        lifeLock.lock();
        try {
            Hardware running = requireAlive("resume");
            if (state == VmState.PAUSED) {
                enter(VmState.RUNNING);
                running.devices().resume();
                running.vcpus().forEach(Vcpu::resume);
            }
        } finally {
            lifeLock.unlock();
        }
    }

    private Hardware requireAlive(String operation) {
        Hardware running = hardware;
        if (running == null || (state != VmState.RUNNING && state != VmState.PAUSED)) {
            throw new IllegalStateException(name() + " is " + state + ": cannot " + operation + " it");
        }
        return running;
    }

    /** See {@link io.thimble.vmm.MicroVm#stop}. */
    public ExitReport stop(Duration deadline) throws InterruptedException {
        requireStarted();
        long end = System.nanoTime() + nanos(deadline);
        askToPowerOff(deadline);
        Optional<ExitReport> early = await(deadline.dividedBy(2));
        if (early.isPresent()) {
            return early.get();
        }
        pressPowerButtonIfAlive();
        Optional<ExitReport> obeyed = await(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        if (obeyed.isPresent()) {
            return obeyed.get();
        }
        kill("did not power off within " + deadline.toMillis() + " ms");
        return await();
    }

    /**
     * Asks by the agent; where there is none, or none yet, by the power button too. An agent that comes later gets the
     * request then, while a kernel that is still booting forgets the button.
     */
    private void askToPowerOff(Duration deadline) {
        lifeLock.lock();
        try {
            Hardware running = hardware;
            if (running == null || state == VmState.STOPPED) {
                return;
            }
            if (state == VmState.PAUSED) {
                resume();
            }
            ControlChannel agent = running.board().control();
            boolean open = agent.isOpen();
            agent.requestShutdown(StopAction.POWER_OFF, Duration.ofNanos(nanos(deadline) / 4));
            if (!open) {
                running.board().acpiPm().pressPowerButton();
            }
        } finally {
            lifeLock.unlock();
        }
    }

    private void pressPowerButtonIfAlive() {
        Hardware running = hardware;
        if (running != null) {
            running.board().acpiPm().pressPowerButton();
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#vsock}. */
    public VsockDevice vsock() {
        return requireAlive("use vsock of")
                .vsock()
                .orElseThrow(() -> new IllegalStateException(name() + " was built without vsock"));
    }

    /** Ends the VM, whatever it does; does not wait. */
    public void kill(String detail) {
        if (endUnstarted()) {
            return;
        }
        terminate(Ending.of(ExitReason.KILLED, detail));
    }

    /** See {@link io.thimble.vmm.MicroVm#await()}. */
    public ExitReport await() throws InterruptedException {
        requireStarted();
        stopped.await();
        joinLoop();
        return requireReport();
    }

    /** See {@link io.thimble.vmm.MicroVm#await(Duration)}. */
    public Optional<ExitReport> await(Duration deadline) throws InterruptedException {
        requireStarted();
        if (!stopped.await(nanos(deadline), TimeUnit.NANOSECONDS)) {
            return Optional.empty();
        }
        joinLoop();
        return Optional.of(requireReport());
    }

    /** Returns a deadline in nanoseconds: those too far off are some 292 years, those in the past are now. */
    private static long nanos(Duration deadline) {
        return Math.max(0, TimeUnit.NANOSECONDS.convert(deadline));
    }

    /** Waits until the loop's thread, which has no more to do, is gone. */
    private void joinLoop() throws InterruptedException {
        EventLoop ended = loop;
        if (ended != null) {
            ended.thread().join();
        }
    }

    private void requireStarted() {
        if (state == VmState.CREATED) {
            throw new IllegalStateException(name() + " was never started");
        }
    }

    private ExitReport requireReport() {
        ExitReport r = report;
        if (r == null) {
            throw new IllegalStateException(name() + " never ran");
        }
        return r;
    }

    /** See {@link io.thimble.vmm.MicroVm#awaitReady}. */
    public boolean awaitReady(Duration deadline) throws InterruptedException {
        return readyOrEnded.await(nanos(deadline), TimeUnit.NANOSECONDS) && events.isReady();
    }

    /** See {@link io.thimble.vmm.MicroVm#type}. */
    public int type(byte[] characters, int offset, int length) {
        if (config.console().input().isPresent()) {
            throw new IllegalStateException(name() + " has an input stream for its console");
        }
        return requireAlive("type to").board().console().receive(characters, offset, length);
    }

    /** See {@link io.thimble.vmm.MicroVm#setWindowSize}. */
    public void setWindowSize(int rows, int columns) {
        Board board = requireAlive("resize the terminal of").board();
        if (streams.isEmpty() || !streams.get().resize(rows, columns)) {
            board.setConsoleSize(rows, columns);
            board.control().setWindowSize(rows, columns);
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#pressPowerButton}. */
    public void pressPowerButton() {
        requireAlive("press the power button of").board().acpiPm().pressPowerButton();
    }

    /** See {@link io.thimble.vmm.MicroVm#pressCtrlAltDel}. */
    public void pressCtrlAltDel() {
        requireAlive("press Ctrl-Alt-Del on").board().keyboard().pressCtrlAltDel();
    }

    /** See {@link io.thimble.vmm.MicroVm#balloon}. */
    public GuestBalloon balloon() {
        return requireAlive("look at the balloon of")
                .balloon()
                .orElseThrow(() -> new IllegalStateException(name() + " has no balloon: give it one in the builder"));
    }

    /** See {@link io.thimble.vmm.MicroVm#networks}. */
    public List<GuestNetwork> networks() {
        return requireAlive("look at the network of").networks();
    }

    /** See {@link io.thimble.vmm.MicroVm#timeline}. */
    public Timeline timeline() {
        return timeline.timeline();
    }

    /** See {@link io.thimble.vmm.MicroVm#kernelDescription}. */
    public Optional<String> kernelDescription() {
        return Optional.ofNullable(kernel).map(KernelImage::describe);
    }

    /** See {@link io.thimble.vmm.MicroVm#disks}. */
    public List<BlockHandle> disks() {
        return disks;
    }

    /** See {@link io.thimble.vmm.MicroVm#statistics}. */
    public VmStatistics statistics() {
        Hardware running = hardware; // read first: the teardown clears it after the last statistics are there
        VmStatistics last = lastStatistics;
        if (last != null) {
            return last;
        }
        return running == null ? new VmStatistics(Map.of(), 0, List.of(), 0, 0, 0, 0, 0) : running.statistics();
    }

    /** See {@link io.thimble.vmm.MicroVm#close}. */
    public void close() {
        kill("closed by the host");
        boolean interrupted = false;
        while (true) {
            try {
                stopped.await();
                joinLoop();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ends a VM that was never started; a start that is under way comes first. Returns whether it did. */
    private boolean endUnstarted() {
        if (state != VmState.CREATED) {
            return false;
        }
        lifeLock.lock();
        try {
            if (state != VmState.CREATED) {
                return false;
            }
            enter(VmState.STOPPED);
            readyOrEnded.countDown();
            stopped.countDown();
            return true;
        } finally {
            lifeLock.unlock();
        }
    }

    /** Decides how the VM ends if nothing has before, and sets the teardown going. */
    private void terminate(Ending newEnding) {
        if (!ending.compareAndSet(null, newEnding)) {
            return;
        }
        Hardware running = hardware;
        EventLoop runningLoop = loop;
        if (running == null || runningLoop == null) {
            return;
        }
        running.abandonWaits();
        running.vcpus().forEach(Vcpu::requestEnd);
        boolean posted = runningLoop.post(() -> tearDown(newEnding, running, runningLoop));
        if (!posted) {
            throw new IllegalStateException("the loop ended before its VM");
        }
    }

    /** Runs on the loop's thread. Whatever fails here, the VM ends. */
    private void tearDown(Ending decided, Hardware running, EventLoop runningLoop) {
        try {
            running.vcpus().forEach(Vcpu::awaitEnd);
            running.close(CONSOLE_DRAIN);
            streams.ifPresent(s -> s.end(CONSOLE_DRAIN));
        } catch (RuntimeException | Error e) {
            Log.LOG.error("{}: a part of the VM could not be given back", name(), e);
        }
        lastStatistics = running.statistics();
        timeline.mark("ended");
        ExitReport finished = new ExitReport(
                decided.reason,
                decided.detail,
                events.commandStatus(),
                decided.debugExitCode,
                decided.registers,
                running.board().lastConsoleLines());
        runningLoop.stop(() -> finish(finished));
    }

    /** The last act of the loop's thread, after its descriptors are closed. */
    private void finish(ExitReport finished) {
        lifeLock.lock();
        try {
            report = finished;
            hardware = null;
            listeners.add(l -> l.ended(finished));
            enter(VmState.STOPPED);
        } finally {
            lifeLock.unlock();
        }
        readyOrEnded.countDown();
        stopped.countDown();
    }

    private void loopFailed(Throwable failure) {
        terminate(Ending.of(ExitReason.CRASH, "the VM's event loop failed: " + failure));
    }

    void ended(ExitReason reason, String detail) {
        terminate(Ending.of(reason, detail));
    }

    void crashed(String detail, String registers) {
        terminate(new Ending(ExitReason.CRASH, detail, OptionalInt.empty(), registers));
    }

    void debugExit(int code) {
        terminate(new Ending(ExitReason.POWER_OFF, "debug exit", OptionalInt.of(code), ""));
    }

    void mark(String name) {
        timeline.mark(name);
    }

    void ready() {
        readyOrEnded.countDown();
        Hardware running = hardware;
        if (running != null) {
            running.board().commandRuns();
        }
        listeners.add(l -> l.ready());
    }

    void commandOnConsole() {
        streams.ifPresent(CommandStreams::onConsole);
    }

    void inputTaken(long bytes) {
        Hardware running = hardware;
        if (running != null) {
            running.board().inputTaken(bytes);
        }
    }

    void commandEnded(int status) {
        listeners.add(l -> l.commandEnded(status));
    }
}
