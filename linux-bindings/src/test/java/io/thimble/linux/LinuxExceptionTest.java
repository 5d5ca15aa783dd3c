package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import org.junit.jupiter.api.Test;

class LinuxExceptionTest {
    @Test
    void names_the_operation_and_the_error() {
        LinuxException e = new LinuxException("open /x", Errnos.EACCES);

        assertThat(e).hasMessage("open /x: EACCES (Permission denied)");
        assertThat(e.operation()).isEqualTo("open /x");
        assertThat(e.errno()).isEqualTo(Errnos.EACCES);
    }

    @Test
    void names_the_remedy_where_one_is_known() {
        assertThat(new LinuxException("open /x", Errnos.EMFILE, "raise the limit"))
                .hasMessage("open /x: EMFILE (Too many open files) - raise the limit");
    }

    @Test
    void tells_an_error_that_linux_has_not_by_its_number() {
        assertThat(new LinuxException("ioctl", 4095)).hasMessage("ioctl: errno 4095");
    }

    @Test
    void check_passes_results_and_throws_errors() {
        assertThat(LinuxException.check("read", 0)).isZero();
        assertThat(LinuxException.check("mmap", Long.MAX_VALUE)).isEqualTo(Long.MAX_VALUE);
        assertThatThrownBy(() -> LinuxException.check("read", -Errnos.EIO))
                .isInstanceOf(LinuxException.class)
                .hasMessage("read: EIO (Input/output error)");
    }
}
