/** The runner that brings a true KVM along ({@code kvm-host}). */
package io.thimble.it.kvmhost;
