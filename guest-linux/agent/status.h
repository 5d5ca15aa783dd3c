// Operation status: what the guest has and does. Specification: docs/agent.md.
#ifndef THIMBLE_STATUS_H
#define THIMBLE_STATUS_H

// Sends STATUS on a connection.
void status_send(int connection);

#endif
