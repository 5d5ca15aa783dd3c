package io.thimble.virtio.transport;

import io.thimble.linux.EventFd;
import io.thimble.linux.abi.VirtioMmioConstants;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * The registers InterruptStatus and InterruptACK (virtio 1.2, section 4.2.2).
 *
 * <p>A driver's handler reads the one and writes what it has read to the other. Where the write of
 * {@code VIRTIO_MMIO_INT_VRING} alone, by far the most frequent, goes to {@link #acknowledgement} inside the kernel (an ioeventfd with
 * that datamatch), an interrupt costs one exit to user space instead of two; the acknowledgement is then found out when the
 * status is read next. If the device has raised the bit meanwhile it stays set, as if it had been raised after the
 * acknowledgement: the worst that comes of it is that the driver looks into its queues once more.
 *
 * <p>Any thread may raise; {@link #read} and {@link #acknowledge} come from vCPU threads and take a lock for moments.
 */
final class InterruptStatus implements AutoCloseable {
    private static final int VRING = VirtioMmioConstants.VIRTIO_MMIO_INT_VRING;
    private static final int BITS = VRING | VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG;
    /** Beside the bits: VRING was raised since the status was read last. */
    private static final int RAISED = 1 << 8;

    private static final VarHandle STATE;

    static {
        try {
            STATE = MethodHandles.lookup().findVarHandle(InterruptStatus.class, "state", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final EventFd acknowledgement;
    private volatile int state;
    private boolean reported; // guarded by this: VRING was read and is not known to be acknowledged

    InterruptStatus(String device) {
        acknowledgement = new EventFd(device + " interrupt acknowledgement");
    }

    /** Returns the eventfd that stands for a write of {@code VIRTIO_MMIO_INT_VRING} to InterruptACK. */
    EventFd acknowledgement() {
        return acknowledgement;
    }

    /** Sets a bit. */
    void raise(int bit) {
        int _ = (int) STATE.getAndBitwiseOr(this, (bit & VRING) != 0 ? bit | RAISED : bit);
    }

    /** Returns the bits that are set. */
    synchronized int read() {
        settle();
        int bits = (int) STATE.getAndBitwiseAnd(this, ~RAISED) & BITS;
        reported |= (bits & VRING) != 0;
        return bits;
    }

    /** Clears what the driver has acknowledged through the kernel. */
    private void settle() {
        if (!reported || acknowledgement.consume() == 0) {
            return;
        }
        reported = false;
        int now = state;
        while ((now & RAISED) == 0 && !STATE.compareAndSet(this, now, now & ~VRING)) {
            now = state;
        }
    }

    /** Clears bits. */
    synchronized void acknowledge(int bits) {
        int _ = (int) STATE.getAndBitwiseAnd(this, ~(bits & BITS));
        if ((bits & VRING) != 0) {
            reported = false;
        }
    }

    /** Clears everything, and forgets acknowledgements that are on their way. */
    synchronized void clear() {
        long _ = acknowledgement.consume();
        reported = false;
        state = 0;
    }

    /** Returns the bits, for a snapshot. */
    synchronized int bits() {
        settle();
        return state & BITS;
    }

    /** Puts the bits back. */
    synchronized void restore(int bits) {
        state = bits & BITS;
    }

    @Override
    public void close() {
        acknowledgement.close();
    }
}
