package io.thimble.virtio.console;

import io.thimble.linux.abi.VirtioConsoleConfigLayout;
import io.thimble.linux.abi.VirtioConsoleConstants;
import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.VirtqueueException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The console device (virtio 1.2, section 5.3). With one port that is a console it has two queues; with more ports, or named
 * ones, it offers {@code VIRTIO_CONSOLE_F_MULTIPORT}. A driver that declines this has the first port only.
 *
 * <p>{@link #setSize} may be called from any thread, as may {@link ConsolePort}'s public methods.
 */
public final class ConsoleDevice implements VirtioDevice {
    /** The most ports that a device can have. */
    public static final int MAX_PORTS = 31;

    private static final int QUEUE_SIZE = 64;
    private static final int EMERGENCY = (int) VirtioConsoleConfigLayout.OFFSETOF_EMERG_WR;

    private final String name;
    private final List<ConsolePort> ports;
    private final boolean multiport;
    private final ConfigSpace config =
            new ConfigSpace((int) VirtioConsoleConfigLayout.SIZEOF); // changed under its lock
    private volatile @Nullable ConsoleSession session;

    /**
     * What the device holds.
     *
     * @param ports in their order
     */
    public record State(List<ConsolePort.State> ports) {
        /** Copies the list. */
        public State {
            ports = List.copyOf(ports);
        }
    }

    /**
     * Makes the device.
     *
     * @param name for messages
     * @param ports 1 to {@value #MAX_PORTS}; where a driver knows no F_MULTIPORT the first one is a console, whatever it is
     */
    public ConsoleDevice(String name, List<ConsolePort> ports) {
        if (ports.isEmpty() || ports.size() > MAX_PORTS) {
            throw new IllegalArgumentException(ports.size() + " ports: a console device has 1 to " + MAX_PORTS);
        }
        this.name = name;
        this.ports = List.copyOf(ports);
        this.multiport = ports.size() > 1 || !ports.getFirst().isConsole();
        config.setInt((int) VirtioConsoleConfigLayout.OFFSETOF_MAX_NR_PORTS, ports.size());
        for (ConsolePort port : ports) {
            port.onInput(() -> inputCame(port));
            port.output().onRoom(() -> roomCame(port));
        }
    }

    private void inputCame(ConsolePort port) {
        ConsoleSession now = session;
        if (now != null) {
            now.inputCame(port);
        }
    }

    private void roomCame(ConsolePort port) {
        ConsoleSession now = session;
        if (now != null) {
            now.roomCame(port);
        }
    }

    /**
     * Tells the guest how large the consoles' terminal is, now and whenever it starts.
     *
     * @param rows 0 to 65535
     * @param columns 0 to 65535
     */
    public void setSize(int rows, int columns) {
        byte[] size = ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) columns)
                .putShort((short) rows)
                .array();
        synchronized (config) {
            config.setBytes((int) VirtioConsoleConfigLayout.OFFSETOF_COLS, size);
        }
        ConsoleSession now = session;
        if (now != null) {
            now.sizeChanged();
        }
    }

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_CONSOLE;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long features() {
        return 1L << VirtioConsoleConstants.VIRTIO_CONSOLE_F_SIZE
                | 1L << VirtioConsoleConstants.VIRTIO_CONSOLE_F_EMERG_WRITE
                | (multiport ? 1L << VirtioConsoleConstants.VIRTIO_CONSOLE_F_MULTIPORT : 0);
    }

    /** Two queues a port, and two for control messages. */
    @Override
    public int queueCount() {
        return multiport ? 2 * (ports.size() + 1) : 2;
    }

    @Override
    public int maxQueueSize(int index) {
        return QUEUE_SIZE;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    /** The emergency write of section 5.3.4: one character to the first port, before DRIVER_OK too; lost if there is no room. */
    @Override
    public void configWritten(int offset, int size, int value) {
        if (offset == EMERGENCY) {
            int _ = ports.getFirst().output().offer(new byte[] {(byte) value}, 0, 1);
        }
    }

    @Override
    public void activate(Activation activation) {
        session = new ConsoleSession(activation, ports, config);
    }

    @Override
    public boolean queueNotified(int index) {
        ConsoleSession now = session;
        return now != null && now.serve(index);
    }

    @Override
    public void reset(Runnable stopped) {
        endSession();
        ports.forEach(ConsolePort::reset);
        stopped.run();
    }

    private void endSession() {
        ConsoleSession ended = session;
        if (ended != null) {
            ended.end();
            session = null;
        }
    }

    @Override
    public void pause(Runnable quiet) {
        setPaused(true);
        quiet.run();
    }

    @Override
    public void resume() {
        setPaused(false);
    }

    private void setPaused(boolean value) {
        ConsoleSession now = session;
        if (now != null) {
            now.setPaused(value);
        }
    }

    @Override
    public State state() {
        return new State(ports.stream().map(ConsolePort::state).toList());
    }

    @Override
    public void restore(Record state) {
        if (!(state instanceof State console) || console.ports().size() != ports.size()) {
            throw new IllegalArgumentException(
                    "no state of a console device with " + ports.size() + " ports: " + state);
        }
        for (int i = 0; i < ports.size(); i++) {
            ports.get(i).restore(console.ports().get(i));
        }
    }

    /** Writes out what the guest had made available. */
    @Override
    public boolean close(Duration deadline) {
        ConsoleSession last = session;
        if (last != null) {
            try {
                last.drain(deadline);
            } catch (VirtqueueException e) {
                // A driver that broke a rule has lost what followed, and the VM is over: nobody is to be told.
            }
        }
        endSession();
        return true;
    }
}
