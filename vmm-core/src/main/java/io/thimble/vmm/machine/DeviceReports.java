package io.thimble.vmm.machine;

import io.thimble.virtio.device.DeviceListener;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs what devices report: the first of each kind, since a guest decides how many follow; all are counted. */
final class DeviceReports implements DeviceListener {
    private static final int REMEMBERED = 256;

    /** A class of its own, so that a start does not wait for the logger's set-up. */
    private static final class Log {
        static final Logger LOG = LoggerFactory.getLogger("io.thimble.vmm.device");
    }

    private final String vm;
    private final Set<String> logged = ConcurrentHashMap.newKeySet();
    private final LongAdder driverFaults = new LongAdder();
    private final LongAdder hostFailures = new LongAdder();

    DeviceReports(String vm) {
        this.vm = vm;
    }

    @Override
    public void needsReset(String device, String reason) {
        driverFaults.increment();
        if (logged.size() < REMEMBERED && logged.add(device)) {
            Log.LOG.warn(
                    "{}: the guest's driver of {} broke a rule, the device waits for a reset: {}", vm, device, reason);
        }
    }

    @Override
    public void hostFailure(String device, String message) {
        hostFailures.increment();
        if (logged.size() < REMEMBERED && logged.add(device + '\0' + message)) {
            Log.LOG.error("{}: {}: {}", vm, device, message);
        }
    }

    /** Returns how often a driver has broken a rule. */
    long driverFaults() {
        return driverFaults.sum();
    }

    /** Returns how often the host has failed a device. */
    long hostFailures() {
        return hostFailures.sum();
    }
}
