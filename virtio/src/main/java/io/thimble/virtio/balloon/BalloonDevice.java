package io.thimble.virtio.balloon;

import io.thimble.linux.abi.VirtioBalloonConfigLayout;
import io.thimble.linux.abi.VirtioBalloonConstants;
import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The traditional memory balloon device (virtio 1.2, section 5.5): pages that the driver puts into the balloon, and free pages
 * that it reports, go back to the host; a page out of the balloon comes back when it is touched.
 *
 * <p>What the driver names that is not its own memory is counted and left alone. {@link #released}, {@link #actualPages} and
 * {@link #targetPages} are for any thread, all else is the loop's.
 */
public final class BalloonDevice implements VirtioDevice {
    private static final int INFLATE = 0;
    /** Behind deflateq, on which there is nothing to do: a page out of the balloon comes back when it is touched. */
    private static final int FIRST_OPTIONAL = 2; // statsq, then reporting_vq, as far as negotiated (section 5.5.2)

    private static final int QUEUES = 4;
    private static final int QUEUE_SIZE = 128;
    private static final int REPORTING_QUEUE_SIZE = 32; // Linux reports as many ranges at once as the queue is long
    private static final int PFN_BYTES = Integer.BYTES;
    /** How many pages a buffer may name: Linux's names 256. Of a longer one the rest is not looked at. */
    private static final int MOST_PAGES = 1024;

    private static final int MOST_BUFFERS_A_TURN = 16;
    private static final int CONFIG_SIZE = (int) VirtioBalloonConfigLayout.OFFSETOF_FREE_PAGE_HINT_CMD_ID;
    private static final int TARGET = (int) VirtioBalloonConfigLayout.OFFSETOF_NUM_PAGES;
    private static final int ACTUAL = (int) VirtioBalloonConfigLayout.OFFSETOF_ACTUAL;
    private static final ValueLayout.OfInt LE32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final boolean reporting;
    private final ConfigSpace config = new ConfigSpace(CONFIG_SIZE);
    private final byte[] pages = new byte[MOST_PAGES * PFN_BYTES];
    private final MemorySegment pageSegment = MemorySegment.ofArray(pages);
    private final List<CompletableFuture<BalloonStatistics>> asking = new ArrayList<>();

    private @Nullable Activation active;
    private @Nullable DescriptorChain chain;
    private @Nullable PageReleaser releaser;
    private @Nullable StatisticsQueue statistics;
    private int statisticsIndex = -1;
    private int reportingIndex = -1;
    private volatile long released;
    private volatile long refused;

    /**
     * What the device holds.
     *
     * @param targetPages that the balloon is to have
     * @param actualPages that the driver says it has
     */
    public record State(int targetPages, int actualPages) {}

    /**
     * Makes an empty balloon.
     *
     * @param reporting whether free pages are to be reported, so that they go back without a target
     */
    public BalloonDevice(boolean reporting) {
        this.reporting = reporting;
    }

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_BALLOON;
    }

    @Override
    public String name() {
        return "balloon";
    }

    @Override
    public long features() {
        return (1L << VirtioBalloonConstants.VIRTIO_BALLOON_F_STATS_VQ)
                | (1L << VirtioBalloonConstants.VIRTIO_BALLOON_F_DEFLATE_ON_OOM)
                | (reporting ? 1L << VirtioBalloonConstants.VIRTIO_BALLOON_F_REPORTING : 0);
    }

    @Override
    public int queueCount() {
        return QUEUES;
    }

    @Override
    public int maxQueueSize(int index) {
        return index >= FIRST_OPTIONAL ? REPORTING_QUEUE_SIZE : QUEUE_SIZE;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    @Override
    public void configWritten(int offset, int size, int value) {
        if (offset == ACTUAL && size == Integer.BYTES) {
            setConfig(ACTUAL, value);
        }
    }

    private void setConfig(int offset, int value) {
        synchronized (config) {
            config.setInt(offset, value);
        }
    }

    @Override
    public void activate(Activation activation) {
        active = activation;
        chain = new DescriptorChain(activation.memory());
        releaser = new PageReleaser(activation.memory());
        int next = FIRST_OPTIONAL;
        if (activation.has(VirtioBalloonConstants.VIRTIO_BALLOON_F_STATS_VQ)) {
            statisticsIndex = next++;
            statistics = new StatisticsQueue(
                    statisticsIndex,
                    activation.requireQueue(statisticsIndex),
                    activation.interrupt(),
                    new DescriptorChain(activation.memory()));
        }
        if (activation.has(VirtioBalloonConstants.VIRTIO_BALLOON_F_REPORTING)) {
            reportingIndex = next;
        }
    }

    @Override
    public boolean queueNotified(int index) {
        Activation now = active;
        PageReleaser giver = releaser;
        DescriptorChain buffer = chain;
        if (now == null || giver == null || buffer == null) {
            return false;
        }
        if (index == statisticsIndex && statistics != null) {
            boolean more = statistics.serve();
            if (statistics.hasAnswer()) {
                answer(statistics.read());
            }
            return more;
        }
        boolean more = serve(now, index, buffer, giver);
        released = giver.released();
        refused = giver.refused();
        return more;
    }

    private boolean serve(Activation now, int index, DescriptorChain buffer, PageReleaser giver) {
        Virtqueue queue = now.requireQueue(index);
        int done = 0;
        do {
            queue.disableNotifications();
            while (done < MOST_BUFFERS_A_TURN && queue.pop(buffer)) {
                if (index == INFLATE) {
                    inflate(buffer, giver);
                } else if (index == reportingIndex) {
                    report(buffer, giver);
                }
                queue.addUsed(buffer, 0);
                done++;
            }
        } while (done < MOST_BUFFERS_A_TURN && queue.enableNotifications());
        if (queue.needsInterrupt()) {
            now.interrupt().signalQueue(index);
        }
        return done >= MOST_BUFFERS_A_TURN;
    }

    /** Section 5.5.6: the buffer has page numbers, in units of 4096 bytes whatever the guest's page size. */
    private void inflate(DescriptorChain buffer, PageReleaser giver) {
        int length = buffer.read(0, pages, 0, pages.length);
        for (int at = 0; at + PFN_BYTES <= length; at += PFN_BYTES) {
            long pfn = Integer.toUnsignedLong(pageSegment.get(LE32, at));
            giver.addPage(pfn << VirtioBalloonConstants.VIRTIO_BALLOON_PFN_SHIFT);
        }
        giver.flush();
    }

    /** Section 5.5.6.7: the buffer itself is the free memory. */
    private static void report(DescriptorChain buffer, PageReleaser giver) {
        for (int i = buffer.readableCount(); i < buffer.count(); i++) {
            giver.addRange(buffer.address(i), buffer.length(i));
        }
    }

    /**
     * Sets how many pages of {@link GuestMemory#PAGE_SIZE} bytes the balloon is to have; the driver sees to it as far as it can.
     */
    public void setTargetPages(int count) {
        setConfig(TARGET, count);
        Activation now = active;
        if (now != null) {
            now.interrupt().signalConfig();
        }
    }

    /** Returns how many pages the balloon is to have. */
    public int targetPages() {
        return config.read(TARGET, Integer.BYTES);
    }

    /** Returns how many pages the driver says that the balloon has. */
    public int actualPages() {
        return config.read(ACTUAL, Integer.BYTES);
    }

    /** Returns how many pages went back to the host since the driver came, whether they are back since or not. */
    public long released() {
        return released;
    }

    /** Returns how many pages the driver named that are not its own. */
    public long refused() {
        return refused;
    }

    /** Asks the driver for its numbers; {@code answer} never completes if the driver gives none. */
    public void askStatistics(CompletableFuture<BalloonStatistics> answer) {
        asking.removeIf(CompletableFuture::isDone);
        asking.add(answer);
        if (statistics != null) {
            statistics.ask();
        }
    }

    private void answer(BalloonStatistics numbers) {
        List<CompletableFuture<BalloonStatistics>> all = List.copyOf(asking);
        asking.clear();
        all.forEach(one -> one.completeAsync(() -> numbers)); // whoever waits does not run here
    }

    @Override
    public void reset(Runnable stopped) {
        forgetDriver();
        setConfig(ACTUAL, 0);
        stopped.run();
    }

    private void forgetDriver() {
        active = null;
        chain = null;
        releaser = null;
        statistics = null;
        statisticsIndex = -1;
        reportingIndex = -1;
    }

    @Override
    public void pause(Runnable quiet) {
        if (statistics != null) {
            statistics.undo();
        }
        quiet.run();
    }

    @Override
    public void resume() {}

    @Override
    public State state() {
        return new State(targetPages(), actualPages());
    }

    @Override
    public void restore(Record state) {
        if (!(state instanceof State before)) {
            throw new IllegalArgumentException("no state of a balloon: " + state);
        }
        setConfig(TARGET, before.targetPages());
        setConfig(ACTUAL, before.actualPages());
    }

    @Override
    public boolean close(Duration deadline) {
        forgetDriver();
        asking.forEach(one -> one.cancel(false));
        asking.clear();
        return true;
    }
}
