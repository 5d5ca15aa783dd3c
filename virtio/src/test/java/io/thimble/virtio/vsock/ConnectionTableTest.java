package io.thimble.virtio.vsock;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConnectionTableTest {
    private record Ports(int guest, int host) {}

    private static Connection connection(Ports ports) {
        Mux mux = new Mux(42, VsockLimits.DEFAULT, _ -> null, () -> {});
        return new Connection(
                mux,
                ports.guest(),
                ports.host(),
                NoEndpoint.INSTANCE,
                new Credit(1 << 16),
                Connection.State.ESTABLISHED,
                0);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void holds_what_a_map_would(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        ConnectionTable table = new ConnectionTable();
        Map<Ports, Connection> model = new HashMap<>();
        for (int step = 0; step < 20_000; step++) {
            Ports ports = new Ports(random.nextInt(40) << random.nextInt(25), random.nextInt(20));
            Connection known = model.get(ports);
            assertThat(table.get(ports.guest(), ports.host())).isSameAs(known);
            if (known == null && random.nextInt(3) > 0) {
                Connection added = connection(ports);
                table.add(added);
                model.put(ports, added);
            } else if (known != null) {
                table.remove(known);
                table.remove(known); // without effect
                model.remove(ports);
            }
            assertThat(table.size()).as("seed %d step %d", seed, step).isEqualTo(model.size());
        }
        List<Connection> all = new ArrayList<>();
        table.clear(all::add);
        assertThat(all).containsExactlyInAnyOrderElementsOf(model.values());
        assertThat(table.size()).isZero();
    }
}
