package io.thimble.virtio.console;

import io.thimble.linux.abi.VirtioConsoleConfigLayout;
import io.thimble.linux.abi.VirtioConsoleConstants;
import io.thimble.linux.abi.VirtioConsoleControlLayout;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * A console device at work for one driver. On the loop's thread, except {@link #inputCame}, {@link #roomCame} and
 * {@link #sizeChanged}, which post there, once until it was done.
 */
final class ConsoleSession {
    /** Indexes of section 5.3.2; the queues of port n, from 1 on, are 2 n + 2 and 2 n + 3. */
    private static final int CONTROL_RECEIVE = 2;

    private static final int CONTROL_TRANSMIT = 3;
    private static final int FIRST_OF_MORE = 4;

    /** After so many bytes, or buffers of no bytes, others have their turn. */
    private static final int MOST_A_TURN = 256 * 1024;

    private static final int SLICE = 16 * 1024;
    /** What a buffer costs of a turn, however little is in it. */
    private static final int BUFFER_COST = 256;

    private final Activation activation;
    private final List<ConsolePort> ports;
    private final ConfigSpace config;
    private final boolean multiport;
    private final boolean resizable;
    private final DescriptorChain chain;
    private final byte[] slice = new byte[SLICE];
    private final Posted[] inputPosts;
    private final Posted[] roomPosts;
    private final Posted sizePost;
    private boolean paused;
    private boolean over;

    ConsoleSession(Activation activation, List<ConsolePort> ports, ConfigSpace config) {
        this.activation = activation;
        this.ports = ports;
        this.config = config;
        this.multiport = activation.has(VirtioConsoleConstants.VIRTIO_CONSOLE_F_MULTIPORT);
        this.resizable = activation.has(VirtioConsoleConstants.VIRTIO_CONSOLE_F_SIZE);
        this.chain = new DescriptorChain(activation.memory());
        this.sizePost = new Posted(this::announceSize);
        this.inputPosts = new Posted[ports.size()];
        this.roomPosts = new Posted[ports.size()];
        for (int i = 0; i < ports.size(); i++) {
            int id = i;
            inputPosts[i] = new Posted(() -> serveInput(id));
            roomPosts[i] = new Posted(() -> serveOutput(id));
        }
    }

    /** Work for the loop that other threads ask for; asked for again before it ran, it runs once. */
    private final class Posted {
        private final AtomicBoolean waiting = new AtomicBoolean();
        private final BooleanSupplier work;
        private final Runnable task;

        Posted(BooleanSupplier work) {
            this.work = work;
            this.task = activation.faults().guarded(this::run);
        }

        void post() {
            if (waiting.compareAndSet(false, true)) {
                boolean _ = activation.loop().post(task);
            }
        }

        private void run() {
            waiting.set(false);
            if (paused || over) {
                return; // resuming notifies every queue
            }
            if (guarded(work)) {
                post();
            }
        }
    }

    /** Runs work on queues, after whose failure there is no more of it until a reset. */
    private boolean guarded(BooleanSupplier work) {
        boolean done = false;
        try {
            boolean more = work.getAsBoolean();
            done = true;
            return more;
        } finally {
            over |= !done;
        }
    }

    void end() {
        over = true;
    }

    void setPaused(boolean value) {
        paused = value;
        if (!value && multiport && resizable) {
            sizePost.post(); // it may have changed meanwhile
        }
    }

    /** Serves a queue; returns whether there is more to do. */
    boolean serve(int index) {
        return !over && guarded(() -> serveQueue(index));
    }

    private boolean serveQueue(int index) {
        if (index >= CONTROL_RECEIVE && !multiport) {
            return false;
        }
        return switch (index) {
            case CONTROL_RECEIVE -> sendControl();
            case CONTROL_TRANSMIT -> receiveControl();
            default -> {
                int id = index < FIRST_OF_MORE ? 0 : index / 2 - 1;
                yield index % 2 == 0 ? serveInput(id) : serveOutput(id);
            }
        };
    }

    private static int receiveQueue(int id) {
        return id == 0 ? 0 : 2 * id + 2;
    }

    private static int transmitQueue(int id) {
        return receiveQueue(id) + 1;
    }

    /** Moves input to the guest, as far as it has given buffers for it. */
    private boolean serveInput(int id) {
        ConsolePort port = ports.get(id);
        Virtqueue queue = activation.queues().get(receiveQueue(id)).orElse(null);
        if (queue == null || (multiport && !port.guestOpen)) {
            return false;
        }
        PortInput input = port.input();
        int left = MOST_A_TURN;
        do {
            queue.disableNotifications();
            while (left > 0 && !input.isEmpty() && queue.pop(chain)) {
                int moved = input.moveTo(chain);
                queue.addUsed(chain, moved);
                left -= Math.max(moved, BUFFER_COST);
            }
        } while (left > 0 && !input.isEmpty() && queue.enableNotifications());
        interruptIfNeeded(queue, receiveQueue(id));
        if (multiport && !port.hostOpen() && (port.pending & ControlMessage.OPEN) == 0 && !port.toldClosed) {
            port.pending |= ControlMessage.OPEN;
            boolean _ = sendControl();
        }
        return left <= 0 && !input.isEmpty();
    }

    /** Writes out what the guest has sent, as far as the output takes it. */
    private boolean serveOutput(int id) {
        ConsolePort port = ports.get(id);
        Virtqueue queue = activation.queues().get(transmitQueue(id)).orElse(null);
        if (queue == null) {
            return false;
        }
        int left = MOST_A_TURN;
        boolean full = false;
        do {
            queue.disableNotifications();
            while (left > 0 && !full && queue.pop(chain)) {
                left -= BUFFER_COST;
                while (left > 0 && !full && port.sent < chain.readableLength()) {
                    int length = chain.read(port.sent, slice, 0, SLICE);
                    int taken = port.output().offer(slice, 0, length);
                    port.sent += taken;
                    left -= taken;
                    full = taken < length;
                }
                if (port.sent < chain.readableLength()) {
                    queue.undoPop(chain);
                    break;
                }
                port.sent = 0;
                queue.addUsed(chain, 0);
            }
        } while (left > 0 && !full && queue.enableNotifications());
        interruptIfNeeded(queue, transmitQueue(id));
        return left <= 0 && !full;
    }

    private void interruptIfNeeded(Virtqueue queue, int index) {
        if (queue.needsInterrupt()) {
            activation.interrupt().signalQueue(index);
        }
    }

    /** Tells the driver what it has not been told, as far as it has given buffers for it. */
    private boolean sendControl() {
        Virtqueue queue = activation.requireQueue(CONTROL_RECEIVE);
        boolean more;
        do {
            queue.disableNotifications();
            more = true;
            for (int id = 0; id < ports.size() && more; id++) {
                ConsolePort port = ports.get(id);
                while (port.pending != 0 && (more = queue.pop(chain))) {
                    int kind = Integer.lowestOneBit(port.pending);
                    boolean open = port.hostOpen();
                    send(queue, ControlMessage.of(kind, id, port, columns(), rows(), open));
                    port.pending &= ~kind;
                    if (kind == ControlMessage.OPEN) {
                        port.toldClosed = !open;
                    }
                }
            }
        } while (!more && queue.enableNotifications());
        interruptIfNeeded(queue, CONTROL_RECEIVE);
        return false;
    }

    private void send(Virtqueue queue, byte[] message) {
        int written = chain.write(0, message, 0, message.length);
        if (written < message.length) {
            throw new VirtqueueException(
                    "a buffer of " + written + " bytes for a control message of " + message.length);
        }
        queue.addUsed(chain, written);
    }

    private int columns() {
        return config.read((int) VirtioConsoleConfigLayout.OFFSETOF_COLS, Short.BYTES);
    }

    private int rows() {
        return config.read((int) VirtioConsoleConfigLayout.OFFSETOF_ROWS, Short.BYTES);
    }

    private boolean receiveControl() {
        Virtqueue queue = activation.requireQueue(CONTROL_TRANSMIT);
        byte[] message = new byte[ControlMessage.BYTES];
        int left = MOST_A_TURN;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(chain)) {
                left -= BUFFER_COST;
                if (chain.read(0, message, 0, message.length) == message.length) {
                    take(ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN));
                }
                queue.addUsed(chain, 0);
            }
        } while (left > 0 && queue.enableNotifications());
        interruptIfNeeded(queue, CONTROL_TRANSMIT);
        boolean _ = sendControl();
        return left <= 0;
    }

    /** Takes a message; one of a port that is not there, or that means nothing, is ignored. */
    private void take(ByteBuffer message) {
        int id = message.getInt((int) VirtioConsoleControlLayout.OFFSETOF_ID);
        int event = message.getShort((int) VirtioConsoleControlLayout.OFFSETOF_EVENT);
        boolean yes = message.getShort((int) VirtioConsoleControlLayout.OFFSETOF_VALUE) != 0;
        if (event == VirtioConsoleConstants.VIRTIO_CONSOLE_DEVICE_READY) {
            ports.forEach(port -> port.pending = yes ? ControlMessage.ADD : 0);
        } else if (id >= 0 && id < ports.size()) {
            ConsolePort port = ports.get(id);
            switch (event) {
                case VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_READY -> portReady(port, yes);
                case VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_OPEN -> {
                    port.guestOpen = yes;
                    inputPosts[id].post();
                }
                default -> {}
            }
        }
    }

    private void portReady(ConsolePort port, boolean ready) {
        port.toldClosed = false;
        if (!ready) {
            port.guestOpen = false;
            port.pending = 0;
        } else if (port.isConsole()) {
            boolean sized = resizable && rows() + columns() > 0;
            port.pending = ControlMessage.CONSOLE | ControlMessage.OPEN | (sized ? ControlMessage.SIZE : 0);
        } else {
            port.pending = ControlMessage.NAME | ControlMessage.OPEN;
        }
    }

    void inputCame(ConsolePort port) {
        inputPosts[ports.indexOf(port)].post();
    }

    void roomCame(ConsolePort port) {
        roomPosts[ports.indexOf(port)].post();
    }

    /** The configuration space has another size. Any thread. */
    void sizeChanged() {
        if (resizable) {
            activation.interrupt().signalConfig();
            if (multiport) {
                sizePost.post();
            }
        }
    }

    private boolean announceSize() {
        ports.stream()
                .filter(port -> port.isConsole() && port.guestOpen)
                .forEach(port -> port.pending |= ControlMessage.SIZE);
        return sendControl();
    }

    /** Writes out what the guest has made available, when there is no guest any more. */
    void drain(Duration deadline) {
        long end = System.nanoTime() + deadline.toNanos();
        for (int id = 0; id < (multiport ? ports.size() : 1) && !over; id++) {
            int port = id;
            boolean waited = true;
            while (waited && System.nanoTime() < end) {
                while (guarded(() -> serveOutput(port)) && System.nanoTime() < end) {}
                waited = hasOutput(id)
                        && ports.get(id).output().awaitRoom(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
            }
        }
    }

    private boolean hasOutput(int id) {
        return activation
                .queues()
                .get(transmitQueue(id))
                .map(Virtqueue::hasAvailable)
                .orElse(false);
    }
}
