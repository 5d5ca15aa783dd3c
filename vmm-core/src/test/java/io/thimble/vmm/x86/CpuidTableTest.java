package io.thimble.vmm.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.kvm.CpuidEntry;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CpuidTableTest {
    private static final List<CpuidEntry> SUPPORTED = List.of(
            new CpuidEntry(0x0, 0, 0, 0x1f, 1, 2, 3),
            new CpuidEntry(0x1, 0, 0, 0x306a9, 0x0702_0800, 0x0000_0001, 0x1000_0001),
            new CpuidEntry(0x4, 0, 1, 0x1c00_4121, 1, 2, 3), // level 1 data
            new CpuidEntry(0x4, 3, 1, 0x1c03_c163, 1, 2, 3), // level 3 unified
            new CpuidEntry(0x4, 4, 1, 0, 0, 0, 0), // no more caches
            new CpuidEntry(0xb, 0, 1, 9, 9, 9, 7777),
            new CpuidEntry(0x1f, 0, 1, 9, 9, 9, 7777),
            new CpuidEntry(0x4000_0000, 0, 0, 0x4000_0001, 0x4b4d564b, 0x564b4d56, 0x4d),
            new CpuidEntry(0x8000_0001, 0, 0, 0, 0, 0, 0),
            new CpuidEntry(0x8000_0008, 0, 0, 0x3030, 0, 0x70ff, 0),
            new CpuidEntry(0x8000_001d, 3, 1, 0x163, 0, 0, 0),
            new CpuidEntry(0x8000_001e, 0, 0, 55, 55, 55, 55));

    private static CpuidEntry leaf(int vcpus, int apicId, int function, int index) {
        List<CpuidEntry> matching = new ArrayList<>();
        for (CpuidEntry e : new CpuidTable(SUPPORTED, new Topology(vcpus), true).forVcpu(apicId)) {
            if (e.function() == function && e.index() == index) {
                matching.add(e);
            }
        }
        assertThat(matching).as("leaf %x.%x", function, index).hasSize(1);
        return matching.getFirst();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 5, 253})
    void every_vcpu_learns_its_own_apic_id(int apicId) {
        assertThat(leaf(254, apicId, 1, 0).ebx() >>> 24).isEqualTo(apicId);
        assertThat(leaf(254, apicId, 0xb, 0).edx()).isEqualTo(apicId);
        assertThat(leaf(254, apicId, 0xb, 1).edx()).isEqualTo(apicId);
        assertThat(leaf(254, apicId, 0x8000_001e, 0).eax()).isEqualTo(apicId);
    }

    @Test
    void features_have_the_hypervisor_bit_and_the_deadline_timer_and_keep_the_rest() {
        CpuidEntry features = leaf(1, 0, 1, 0);
        assertThat(features.eax()).isEqualTo(0x306a9);
        assertThat(features.ecx()).isEqualTo(1 << 31 | 1 << 24 | 1);
        assertThat(features.ebx() & 0xffff).isEqualTo(0x0800);
    }

    @Test
    void the_deadline_timer_is_not_promised_where_the_host_has_none() {
        CpuidEntry features =
                new CpuidTable(SUPPORTED, new Topology(1), false).forVcpu(0).get(1);
        assertThat(features.ecx() & 1 << 24).isZero();
    }

    @Test
    void hyperthreading_bit_means_more_than_one_processor_in_the_socket() {
        assertThat(leaf(1, 0, 1, 0).edx() & 1 << 28).isZero();
        assertThat(leaf(2, 0, 1, 0).edx() & 1 << 28).isNotZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 8, 100, 254})
    void topology_leaves_agree_on_the_number_of_cores(int vcpus) {
        int span = Integer.highestOneBit(Math.max(1, vcpus * 2 - 1));
        assertThat(leaf(vcpus, 0, 1, 0).ebx() >>> 16 & 0xff).isEqualTo(span & 0xff);
        assertThat(leaf(vcpus, 0, 0xb, 0).ebx()).isEqualTo(1);
        assertThat(leaf(vcpus, 0, 0xb, 1).ebx()).isEqualTo(vcpus);
        assertThat(1 << leaf(vcpus, 0, 0xb, 1).eax()).isEqualTo(span);
        assertThat(leaf(vcpus, 0, 0x8000_0008, 0).ecx() & 0xff).isEqualTo(vcpus - 1);
        assertThat(1 << (leaf(vcpus, 0, 0x8000_0008, 0).ecx() >>> 12 & 0xf)).isEqualTo(span);
        assertThat(leaf(vcpus, 0, 4, 0).eax() >>> 26).isEqualTo(Math.min(span - 1, 63));
    }

    @Test
    void only_the_last_cache_level_is_shared_by_all_cores() {
        assertThat(leaf(4, 0, 4, 0).eax() >>> 14 & 0xfff).isZero();
        assertThat(leaf(4, 0, 4, 3).eax() >>> 14 & 0xfff).isEqualTo(3);
        assertThat(leaf(4, 0, 0x8000_001d, 3).eax() >>> 14 & 0xfff).isEqualTo(3);
        assertThat(leaf(4, 0, 4, 0).eax() & 0x3fff).isEqualTo(0x1c00_4121 & 0x3fff);
        assertThat(leaf(4, 0, 4, 4).eax()).isZero();
    }

    @Test
    void other_leaves_pass_through_and_the_hosts_topology_does_not() {
        List<CpuidEntry> entries = new CpuidTable(SUPPORTED, new Topology(2), true).forVcpu(1);
        assertThat(entries).contains(SUPPORTED.getFirst()).contains(SUPPORTED.get(7));
        assertThat(entries).noneMatch(e -> e.function() == 0x1f).noneMatch(e -> e.edx() == 7777);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1, 255})
    void refuses_numbers_of_vcpus_that_8_bit_apic_ids_cannot_tell_apart(int vcpus) {
        assertThatThrownBy(() -> new Topology(vcpus))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("1..254");
    }
}
