package io.thimble.vmm.vcpu;

import io.thimble.kvm.KvmExitText;
import io.thimble.kvm.KvmRegs;
import io.thimble.kvm.KvmRun;
import io.thimble.kvm.KvmSregs;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import io.thimble.linux.Errno;
import io.thimble.linux.Signals;
import io.thimble.linux.abi.Errnos;
import io.thimble.vmm.bus.Bus;
import io.thimble.vmm.event.Threads;
import java.lang.foreign.Arena;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A virtual processor with its thread: it runs the guest, hands each exit to a bus, and obeys requests.
 *
 * <p>Protocol between the vCPU's thread and all others:
 * <ol>
 *   <li>Another thread, under {@link #lock}, sets {@code wanted}, then {@code immediate_exit}, then sends the kick
 *       signal if the thread lives: so KVM_RUN either is not entered or returns at once.
 *   <li>The vCPU's thread, whenever KVM_RUN has returned, clears {@code immediate_exit}, then (after a full fence) reads
 *       {@code wanted}: a request made before the clearing is seen, one made after it sets {@code immediate_exit} anew.
 *   <li>To park, it re-enters KVM_RUN once with {@code immediate_exit} set, which completes a half-done port or memory
 *       access without running the guest, then sets {@code parked} and waits on {@code changed}.
 *   <li>Before it ends it clears {@code threadId} under the lock: nobody signals a thread that has ended.
 * </ol>
 *
 * <p>All vCPU ioctls happen on the thread itself, except those before {@link #start}.
 */
public final class Vcpu {
    /** Enough for the loop and the devices' code. */
    private static final long STACK_SIZE = 512 * 1024;

    private enum Wanted {
        RUN,
        PARK,
        END
    }

    private final KvmVcpu kvmVcpu;
    private final KvmRun run;
    private final Bus pio;
    private final Bus mmio;
    private final VcpuEvents events;
    private final ExitCounters counters = new ExitCounters();
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private volatile Wanted wanted = Wanted.RUN;
    private boolean parked; // guarded by lock, as the three below
    private boolean ended;
    private boolean started;
    private int threadId;

    /**
     * Wraps a vCPU that is ready to run.
     *
     * @param threadName for the platform thread
     * @param pio where port accesses go
     * @param mmio where accesses to memory without a slot go
     */
    public Vcpu(KvmVcpu kvmVcpu, String threadName, Bus pio, Bus mmio, VcpuEvents events) {
        this.kvmVcpu = kvmVcpu;
        this.run = kvmVcpu.kvmRun();
        this.pio = pio;
        this.mmio = mmio;
        this.events = events;
        this.thread = Thread.ofPlatform()
                .name(threadName)
                .daemon(true)
                .stackSize(STACK_SIZE)
                .unstarted(this::threadMain);
    }

    /** Returns the counts of exits; read from any thread, exact once the vCPU is parked or has ended. */
    public ExitCounters counters() {
        return counters;
    }

    /** Starts the thread; it enters the guest at once, unless {@link #requestEnd} came first. */
    public void start() {
        Signals.installKickHandler();
        lock.lock();
        try {
            if (wanted == Wanted.END) {
                return; // whoever ended it may have freed it: awaitEnd does not wait for a thread that was never
                // started
            }
            thread.start();
            started = true;
        } finally {
            lock.unlock();
        }
    }

    /** Asks the vCPU to leave the guest and wait; {@link #awaitParked} tells when it does. Any thread. */
    public void requestPark() {
        request(Wanted.PARK);
    }

    /** Lets a parked vCPU go on. Any thread. */
    public void resume() {
        request(Wanted.RUN);
    }

    /** Asks the thread to end, for good. Any thread, the vCPU's own included. */
    public void requestEnd() {
        request(Wanted.END);
    }

    private void request(Wanted request) {
        lock.lock();
        try {
            if (wanted == Wanted.END) {
                return;
            }
            wanted = request;
            if (request == Wanted.RUN) {
                parked = false;
            } else {
                run.setImmediateExit(true);
                if (threadId != 0 && Thread.currentThread() != thread) {
                    Signals.kick(threadId);
                }
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until the vCPU is parked or has ended. */
    public void awaitParked() {
        lock.lock();
        try {
            while (started && !parked && !ended) {
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Waits until the thread has ended; returns at once if it was never started. Not for the vCPU's own thread. */
    public void awaitEnd() {
        lock.lock();
        try {
            while (started && !ended) {
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
        Threads.joinUninterruptibly(thread);
    }

    private void threadMain() {
        lock.lock();
        try {
            threadId = Signals.currentThreadId();
        } finally {
            lock.unlock();
        }
        try {
            events.firstRun(kvmVcpu.id());
            loop();
        } catch (Throwable t) {
            events.crashed("the vCPU's loop failed: " + t, registers());
        } finally {
            lock.lock();
            try {
                threadId = 0;
                ended = true;
                changed.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    private void loop() {
        while (true) {
            if (wanted != Wanted.RUN && !obey()) {
                return;
            }
            long entered = System.nanoTime();
            int result = kvmVcpu.run();
            counters.countTime(System.nanoTime() - entered);
            if (result == 0) {
                if (!handleExit(run.exitReason())) {
                    return;
                }
            } else if (result == -Errnos.EINTR || result == -Errnos.EAGAIN) {
                counters.countInterrupted();
                run.setImmediateExit(false);
                VarHandle.fullFence();
            } else {
                events.crashed("KVM_RUN: " + Errno.describe(-result), registers());
                return;
            }
        }
    }

    /** Parks until something else is wanted; returns whether to go on. */
    private boolean obey() {
        if (wanted == Wanted.PARK) {
            run.setImmediateExit(true);
            while (kvmVcpu.run() == 0) {
                if (!handleExit(run.exitReason())) {
                    return false;
                }
            }
        }
        run.setImmediateExit(false);
        lock.lock();
        try {
            while (wanted == Wanted.PARK) {
                parked = true;
                changed.signalAll();
                changed.awaitUninterruptibly();
            }
            parked = false;
            return wanted != Wanted.END;
        } finally {
            lock.unlock();
        }
    }

    private boolean handleExit(int reason) {
        counters.count(reason);
        switch (reason) {
            case KvmExits.KVM_EXIT_IO -> handleIo();
            case KvmExits.KVM_EXIT_MMIO -> handleMmio();
            case KvmExits.KVM_EXIT_INTR, KvmExits.KVM_EXIT_IRQ_WINDOW_OPEN -> {}
            case KvmExits.KVM_EXIT_SYSTEM_EVENT -> {
                return handleSystemEvent();
            }
            case KvmExits.KVM_EXIT_SHUTDOWN -> {
                events.crashed("KVM_EXIT_SHUTDOWN: triple fault on vCPU " + kvmVcpu.id(), registers());
                return false;
            }
            default -> {
                events.crashed(run + " on vCPU " + kvmVcpu.id(), registers());
                return false;
            }
        }
        return true;
    }

    private void handleIo() {
        int port = run.ioPort();
        int size = run.ioSize();
        int count = run.ioCount();
        if (run.ioIsOut()) {
            for (int i = 0; i < count; i++) {
                pio.write(port, size, run.ioData(i));
            }
        } else {
            for (int i = 0; i < count; i++) {
                run.setIoData(i, pio.read(port, size));
            }
        }
    }

    private void handleMmio() {
        long address = run.mmioPhysAddr();
        int length = run.mmioLen();
        if (run.mmioIsWrite()) {
            mmio.write(address, length, run.mmioData());
        } else {
            run.setMmioData(mmio.read(address, length));
        }
    }

    private boolean handleSystemEvent() {
        switch (run.systemEventType()) {
            case KvmConstants.KVM_SYSTEM_EVENT_SHUTDOWN -> events.powerOff();
            case KvmConstants.KVM_SYSTEM_EVENT_RESET -> events.reset("KVM_SYSTEM_EVENT_RESET");
            case KvmConstants.KVM_SYSTEM_EVENT_CRASH -> events.panicked("KVM_SYSTEM_EVENT_CRASH");
            default -> events.crashed(KvmExitText.name(run.exitReason()) + ": " + run, registers());
        }
        return false;
    }

    private String registers() {
        try (Arena arena = Arena.ofConfined()) {
            KvmRegs regs = new KvmRegs(arena);
            KvmSregs sregs = new KvmSregs(arena);
            kvmVcpu.getRegs(regs);
            kvmVcpu.getSregs(sregs);
            return regs + "\n" + sregs;
        } catch (RuntimeException e) {
            return "";
        }
    }

    /** Frees the vCPU in the kernel; after {@link #awaitEnd}. */
    public void close() {
        kvmVcpu.close();
    }

    @Override
    public String toString() {
        return thread.getName() + " (" + wanted + ")";
    }
}
