import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can fall silent without closing, as a pulled cable does. */
export interface SilentPath {
  /** Of 127.0.0.1, in place of the server's own. */
  readonly port: number;
  /** Nothing comes through any more, in either direction; who connects is accepted, and hears nothing. */
  cut(): void;
  /** Who connects from now on gets through. What was open when it was cut stays silent for ever. */
  mend(): void;
  /** The same, and what stayed silent is ended. */
  reset(): void;
  close(): void;
}

/** Opens such a way to a port of 127.0.0.1. */
export async function silentPath(serverPort: number): Promise<SilentPath> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    keep(near);
    if (isCut) {
      near.pause();
      return;
    }
    const far = connect(serverPort, '127.0.0.1');
    keep(far);
    near.pipe(far);
    far.pipe(near);
    // Ends are passed on by `pipe`; a reset isn't.
    near.once('close', () => isCut || far.destroy());
    far.once('close', () => isCut || near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    mend: () => {
      isCut = false;
    },
    reset: () => {
      isCut = false;
      for (const socket of sockets) socket.destroy();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
