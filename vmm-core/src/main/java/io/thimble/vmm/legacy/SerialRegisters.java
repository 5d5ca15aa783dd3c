package io.thimble.vmm.legacy;

/**
 * Registers of the PC16550D by the datasheet's names (National Semiconductor, PC16550D, section 8) and their bits by
 * the names of {@code include/uapi/linux/serial_reg.h}.
 */
final class SerialRegisters {
    /** Receiver Buffer Register: read, DLAB=0. */
    static final int RBR = 0;
    /** Transmitter Holding Register: write, DLAB=0. */
    static final int THR = 0;
    /** Divisor Latch, low byte: DLAB=1. */
    static final int DLL = 0;
    /** Interrupt Enable Register: DLAB=0. */
    static final int IER = 1;
    /** Divisor Latch, high byte: DLAB=1. */
    static final int DLM = 1;
    /** Interrupt Identification Register: read. */
    static final int IIR = 2;
    /** FIFO Control Register: write. */
    static final int FCR = 2;
    /** Line Control Register. */
    static final int LCR = 3;
    /** Modem Control Register. */
    static final int MCR = 4;
    /** Line Status Register. */
    static final int LSR = 5;
    /** Modem Status Register. */
    static final int MSR = 6;
    /** Scratch Register. */
    static final int SCR = 7;

    static final int UART_IER_RDI = 0x01;
    static final int UART_IER_THRI = 0x02;
    static final int UART_IER_RLSI = 0x04;
    static final int UART_IER_MSI = 0x08;
    static final int IER_MASK = 0x0f;

    static final int UART_IIR_MSI = 0x00;
    static final int UART_IIR_NO_INT = 0x01;
    static final int UART_IIR_THRI = 0x02;
    static final int UART_IIR_RDI = 0x04;
    static final int UART_IIR_RLSI = 0x06;
    static final int UART_IIR_RX_TIMEOUT = 0x0c;
    static final int UART_IIR_FIFO_ENABLED = 0xc0;

    static final int UART_FCR_ENABLE_FIFO = 0x01;
    static final int UART_FCR_CLEAR_RCVR = 0x02;
    static final int UART_FCR_CLEAR_XMIT = 0x04;
    static final int UART_FCR_DMA_SELECT = 0x08;
    static final int UART_FCR_TRIGGER_MASK = 0xc0;

    static final int UART_LCR_SBC = 0x40;
    static final int UART_LCR_DLAB = 0x80;

    static final int UART_MCR_DTR = 0x01;
    static final int UART_MCR_RTS = 0x02;
    static final int UART_MCR_OUT1 = 0x04;
    static final int UART_MCR_OUT2 = 0x08;
    static final int UART_MCR_LOOP = 0x10;
    static final int MCR_MASK = 0x1f;

    static final int UART_LSR_DR = 0x01;
    static final int UART_LSR_OE = 0x02;
    static final int UART_LSR_PE = 0x04;
    static final int UART_LSR_FE = 0x08;
    static final int UART_LSR_BI = 0x10;
    static final int UART_LSR_BRK_ERROR_BITS = 0x1e;
    static final int UART_LSR_THRE = 0x20;
    static final int UART_LSR_TEMT = 0x40;
    static final int UART_LSR_FIFOE = 0x80;

    static final int UART_MSR_DCTS = 0x01;
    static final int UART_MSR_DDSR = 0x02;
    static final int UART_MSR_TERI = 0x04;
    static final int UART_MSR_DDCD = 0x08;
    static final int UART_MSR_ANY_DELTA = 0x0f;
    static final int UART_MSR_CTS = 0x10;
    static final int UART_MSR_DSR = 0x20;
    static final int UART_MSR_RI = 0x40;
    static final int UART_MSR_DCD = 0x80;
    static final int MSR_INPUTS = 0xf0;

    private SerialRegisters() {}
}
