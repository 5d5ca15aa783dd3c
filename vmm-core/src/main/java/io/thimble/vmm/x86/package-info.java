/** What is particular to x86-64: CPUID, MSRs, the boot CPU's registers, page tables and firmware tables. */
package io.thimble.vmm.x86;
