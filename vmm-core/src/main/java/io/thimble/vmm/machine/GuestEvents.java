package io.thimble.vmm.machine;

import io.thimble.vmm.ExitReason;
import io.thimble.vmm.Timeline;
import io.thimble.vmm.agent.StopAction;
import io.thimble.vmm.agent.StopCause;
import io.thimble.vmm.legacy.Pvpanic;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Turns what devices, vCPUs and the guest agent tell into steps of the machine's life. Called on vCPU threads. */
final class GuestEvents implements Hardware.Events {
    /** A class of its own, so that a start does not wait for the logger's set-up. */
    private static final class Log {
        static final Logger LOG = LoggerFactory.getLogger("io.thimble.vmm.agent");
    }

    private final Machine machine;
    private final AtomicBoolean entered = new AtomicBoolean();
    private volatile boolean ready;
    private volatile boolean powerOffMeant;
    private volatile OptionalInt commandStatus = OptionalInt.empty();

    GuestEvents(Machine machine) {
        this.machine = machine;
    }

    /** Tells whether the command runs or has run. */
    boolean isReady() {
        return ready;
    }

    /** Returns the command's exit status once the agent has told it. */
    OptionalInt commandStatus() {
        return commandStatus;
    }

    @Override
    public void powerOff() {
        machine.ended(ExitReason.POWER_OFF, "");
    }

    /** A guest without ACPI cannot switch itself off: its agent then resets, after it has said what is meant. */
    @Override
    public void reset(String source) {
        machine.ended(powerOffMeant ? ExitReason.POWER_OFF : ExitReason.RESET, source);
    }

    @Override
    public void panic(int events) {
        if ((events & Pvpanic.PVPANIC_PANICKED) != 0) {
            machine.ended(ExitReason.PANIC, "pvpanic");
        } else {
            // PVPANIC_CRASH_LOADED: the guest goes on in its crash kernel, which writes a dump.
            machine.mark("guest panicked, its crash kernel runs");
        }
    }

    @Override
    public void panicked(String detail) {
        machine.ended(ExitReason.PANIC, detail);
    }

    @Override
    public void debugExit(int code) {
        machine.debugExit(code);
    }

    @Override
    public void crashed(String detail, String registers) {
        machine.crashed(detail, registers);
    }

    @Override
    public void firstRun(int vcpuId) {
        if (entered.compareAndSet(false, true)) {
            machine.mark(Timeline.FIRST_RUN);
        }
    }

    @Override
    public void hello(int version, boolean init, long uptimeMicros, String kernelRelease) {
        machine.mark(Timeline.AGENT);
    }

    @Override
    public void streams(boolean connected) {
        if (!connected) {
            machine.commandOnConsole();
        }
    }

    @Override
    public void ready(long uptimeMicros) {
        ready = true;
        machine.mark("command started");
        machine.ready();
    }

    @Override
    public void inputTaken(long bytes) {
        machine.inputTaken(bytes);
    }

    @Override
    public void exit(int status, boolean stopped) {
        commandStatus = OptionalInt.of(status);
        machine.mark("command ended");
        machine.commandEnded(status);
    }

    @Override
    public void stopping(StopAction action, StopCause cause) {
        powerOffMeant = action == StopAction.POWER_OFF;
    }

    @Override
    public void log(String line) {
        Log.LOG.warn("{}: {}", machine.name(), line);
    }
}
