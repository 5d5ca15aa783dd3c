/** Network devices, against the host's kernel in namespaces of the tests' own, and against other VMs. */
package io.thimble.it.net;
