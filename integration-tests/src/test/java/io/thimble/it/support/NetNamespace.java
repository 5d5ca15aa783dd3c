package io.thimble.it.support;

import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Syscall;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A network of the test's own: nothing in it reaches any other. Needs root. What a thread opens in {@link #call} - sockets, TAP
 * interfaces - belongs to this network for good.
 */
public final class NetNamespace implements AutoCloseable {
    private static final int CLONE_NEWNET = 0x40000000; // linux/sched.h
    private static final AtomicInteger NEXT = new AtomicInteger();

    private final String name = "thimble-" + ProcessHandle.current().pid() + "-" + NEXT.getAndIncrement();

    /** Makes a network with a loopback interface in it. */
    public NetNamespace() {
        Commands.check("ip", "netns", "add", name);
        run("ip", "link", "set", "lo", "up");
    }

    /** Returns how to name it to {@code ip netns}. */
    public String name() {
        return name;
    }

    /** Returns a program's command line that runs it in this network. */
    public List<String> command(String... command) {
        List<String> all = new ArrayList<>(List.of("ip", "netns", "exec", name));
        all.addAll(List.of(command));
        return all;
    }

    /** Runs a program in this network, which must succeed, and returns what it printed. */
    public String run(String... command) {
        return Commands.check(command(command));
    }

    /** Makes a TAP interface that is up. */
    public void addTap(String tap, String... addresses) {
        run("ip", "tuntap", "add", "dev", tap, "mode", "tap");
        setUp(tap, addresses);
    }

    /** Gives an interface addresses and switches it on. */
    public void setUp(String tap, String... addresses) {
        for (String address : addresses) {
            boolean v6 = address.contains(":");
            if (v6) {
                run("ip", "addr", "add", address, "dev", tap, "nodad");
            } else {
                run("ip", "addr", "add", address, "dev", tap);
            }
        }
        run("ip", "link", "set", tap, "up");
    }

    /** Calls something on a thread of its own in this network. */
    public <T> T call(Callable<T> task) throws Exception {
        FutureTask<T> future = new FutureTask<>(() -> {
            enter();
            return task.call();
        });
        Thread thread = Thread.ofPlatform().daemon(true).start(future);
        thread.join();
        try {
            return future.get();
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case Exception exception -> throw exception;
                case Error error -> throw error;
                case null, default -> throw e;
            }
        }
    }

    private void enter() {
        try (Fd namespace = Fd.open("/run/netns/" + name, FcntlConstants.O_RDONLY)) {
            LinuxException.check("setns", Syscall.call(Syscalls.SYS_setns, namespace.number(), CLONE_NEWNET));
        }
    }

    @Override
    public void close() {
        Commands.check("ip", "netns", "delete", name);
    }
}
