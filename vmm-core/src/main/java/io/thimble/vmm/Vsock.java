package io.thimble.vmm;

import io.thimble.vmm.machine.Machine;
import java.io.IOException;
import java.time.Duration;

/**
 * Streams between this process and programs in the guest, by {@code AF_VSOCK} sockets there (vsock(7)), which need no
 * network. The host's address is {@link #HOST_CID}, the guest's {@link #guestCid}. Ports are 32 bits wide, unsigned.
 *
 * {@snippet :
 * try (VsockChannel channel = vm.vsock().connect(5000)) {
 *     channel.outputStream().write("hello".getBytes());
 *     channel.shutdownOutput();
 *     byte[] answer = channel.inputStream().readAllBytes();
 * }
 * }
 *
 * <p>Every method may be called from any thread.
 */
public final class Vsock {
    /** The address that programs in the guest connect to: {@code VMADDR_CID_HOST}. */
    public static final int HOST_CID = 2;

    private static final int DEFAULT_BACKLOG = 128;

    private final Machine machine;

    Vsock(Machine machine) {
        this.machine = machine;
    }

    /**
     * Returns the guest's address.
     *
     * @throws IllegalStateException if the VM is not RUNNING or PAUSED, or was built without vsock
     */
    public long guestCid() {
        return machine.vsock().guestCid();
    }

    /** As {@link #connect(int, Duration)}, and waits for the guest's answer until the VM ends. */
    public VsockChannel connect(int port) throws IOException {
        return connect(port, Duration.ZERO);
    }

    /**
     * Connects to a program that listens in the guest. Where the guest's driver is not at work yet, this fails at once, like
     * where nobody listens: see {@link MicroVm#awaitReady}.
     *
     * @param timeout at most so long, zero for ever
     * @throws java.net.ConnectException if the guest refuses, or has no driver at work, or the VM has ended
     * @throws java.net.SocketTimeoutException if it does not answer
     * @throws java.io.InterruptedIOException if the thread is interrupted; it stays so
     * @throws IllegalStateException if the VM is not RUNNING or PAUSED, or was built without vsock
     */
    public VsockChannel connect(int port, Duration timeout) throws IOException {
        VsockChannel channel = new VsockChannel(machine.vsock().connect(port));
        channel.awaitOpen(timeout);
        return channel;
    }

    /** As {@link #listen(int, int)}, with at most 128 connections that wait to be accepted. */
    public VsockListener listen(int port) throws IOException {
        return listen(port, DEFAULT_BACKLOG);
    }

    /**
     * Listens for connections of programs in the guest to {@link #HOST_CID}. Called when {@link MicroVm#start} has returned,
     * it comes before the guest's first program.
     *
     * @param backlog how many connections may wait to be accepted; more are refused
     * @throws IOException if this VM has a listener on this port already
     * @throws IllegalStateException if the VM is not RUNNING or PAUSED, or was built without vsock
     */
    public VsockListener listen(int port, int backlog) throws IOException {
        return new VsockListener(machine.vsock().listen(port, backlog));
    }
}
