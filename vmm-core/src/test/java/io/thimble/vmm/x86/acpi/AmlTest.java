package io.thimble.vmm.x86.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** Encodings worked out by hand from the ACPI specification. */
class AmlTest {
    @Test
    void encodes_integers_as_short_as_possible() {
        assertThat(hex(Aml.integer(0))).isEqualTo("00");
        assertThat(hex(Aml.integer(1))).isEqualTo("01");
        assertThat(hex(Aml.integer(2))).isEqualTo("0a02");
        assertThat(hex(Aml.integer(0xff))).isEqualTo("0aff");
        assertThat(hex(Aml.integer(0x100))).isEqualTo("0b0001");
        assertThat(hex(Aml.integer(0x10000))).isEqualTo("0c00000100");
        assertThat(hex(Aml.integer(0x1_0000_0000L))).isEqualTo("0e0000000001000000");
        assertThat(hex(Aml.integer(-1))).isEqualTo("0effffffffffffffff");
    }

    @Test
    void encodes_package_lengths_of_one_to_three_bytes() {
        assertThat(hex(Aml.scope("ABCD"))).isEqualTo("1005" + "41424344");
        assertThat(hex(Aml.scope("ABCD", new byte[58]))).startsWith("103f41");
        assertThat(hex(Aml.scope("ABCD", new byte[59]))).startsWith("10410441");
        assertThat(hex(Aml.scope("ABCD", new byte[0xfff - 6]))).startsWith("104fff41");
        assertThat(hex(Aml.scope("ABCD", new byte[0xfff - 5]))).startsWith("1081000141");
    }

    @Test
    void encodes_names_strings_and_ids() {
        assertThat(hex(Aml.name("_S5_", Aml.packageOf(Aml.integer(5))))).isEqualTo("085f53355f" + "120401" + "0a05");
        assertThat(hex(Aml.string("AB"))).isEqualTo("0d414200");
        assertThat(hex(Aml.eisaId("PNP0501"))).isEqualTo("0c41d00501");
        assertThatIllegalArgumentException().isThrownBy(() -> Aml.eisaId("LNRO0005"));
        assertThatIllegalArgumentException().isThrownBy(() -> Aml.name("_S5", Aml.integer(0)));
    }

    @Test
    void encodes_resources() {
        assertThat(hex(Aml.io(0x3f8, 8))).isEqualTo("4701f803f8030108");
        assertThat(hex(Aml.irqNoFlags(4))).isEqualTo("221000");
        assertThat(hex(Aml.memory32Fixed(0xd0000000L, 0x1000))).isEqualTo("86090001000000d000100000");
        assertThat(hex(Aml.edgeInterrupt(5))).isEqualTo("890600030105000000");
        assertThat(hex(Aml.resourceTemplate(Aml.irqNoFlags(4)))).isEqualTo("1108" + "0a05" + "221000" + "7900");
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
