package io.thimble.virtio.vsock;

import io.thimble.virtio.queue.DescriptorChain;

/** Stands where a connection's endpoint was, which has nothing to do with it any more. */
final class NoEndpoint implements HostEndpoint {
    static final NoEndpoint INSTANCE = new NoEndpoint();

    private NoEndpoint() {}

    @Override
    public void attached(HostConnection connection, int window) {}

    @Override
    public void opened() {}

    @Override
    public void receive(DescriptorChain chain, long offset, long length) {}

    @Override
    public long consumed() {
        return 0;
    }

    @Override
    public boolean hasData() {
        return false;
    }

    @Override
    public long send(RxBuffers buffers, long most) {
        return 0;
    }

    @Override
    public int shutDownFlags() {
        return 0;
    }

    @Override
    public boolean isAborted() {
        return false;
    }

    @Override
    public void guestShutDown(int flags) {}

    @Override
    public void finished() {}

    @Override
    public void reset(String why) {}
}
