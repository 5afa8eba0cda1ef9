import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Serves MongoDB's wire protocol from memory on a free port, which it prints; ends when its input does. */
class Main {
    public static void main(String[] arguments) throws Exception {
        MemoryBackend backend = new MemoryBackend();
        // Drivers ask for a newer server than this one says to be; what we use of it is the same.
        backend.version(new MongoVersion() {
            public List<Integer> getVersionArray() { return List.of(6, 0, 0, 0); }
            public int getWireVersion() { return 17; }
            public String toVersionString() { return "6.0.0"; }
        });
        MongoServer server = new MongoServer(backend);
        System.out.println(server.bind().getPort());
        while (System.in.read() >= 0) { }
        server.shutdownNow();
        System.exit(0);
    }
}
