import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.Stores;

/**
 * Folds the refunds out of the ledger's topic into a state store of Kafka Streams, as src/projections/refunds.py does
 * into tables.
 *
 * <p>Arguments: the broker, the topic (of one partition), the offset behind its last event, an empty folder for state.
 * It folds the topic twice, each time as an application of its own: once so that the JVM is warm, and once measured.
 * What the second took it writes as a line of JSON.
 */
public final class Refunds {
  private static final String STORE = "refunds";
  private static final long CACHE_BYTES = 256L << 20;
  private static final long LOOK_MILLIS = 20;

  private static final ObjectMapper JSON =
      new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);

  public static void main(String[] given) throws Exception {
    String application = "bench-" + Path.of(given[3]).getFileName();
    for (String run : List.of("warm", "measured")) {
      Path state = Path.of(given[3], run);
      Run done = new Run(given[0], given[1], Long.parseLong(given[2]), application + "-" + run, state);
      Map<String, Object> told = done.fold();
      if (run.equals("measured")) {
        System.out.println(JSON.writeValueAsString(told));
      }
    }
  }

  /** One application that folds the topic from its beginning to its end. */
  private static final class Run {
    private final String broker;
    private final String topic;
    private final long end;
    private final String application;
    private final Path state;
    private final CountDownLatch folded = new CountDownLatch(1);
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private volatile long messages;
    private volatile long halfway;

    Run(String broker, String topic, long end, String application, Path state) {
      this.broker = broker;
      this.topic = topic;
      this.end = end;
      this.application = application;
      this.state = state;
    }

    /** Until the store, its changelog and the offset are committed up to the end. */
    Map<String, Object> fold() throws Exception {
      StreamsBuilder builder = new StreamsBuilder();
      builder.addStateStore(
          Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), refunds())
              .withCachingEnabled());
      builder
          .stream(topic, Consumed.with(Serdes.String(), Serdes.ByteArray()))
          .process(() -> new Fold(this), STORE);
      try (KafkaStreams streams = new KafkaStreams(builder.build(), settings());
          Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
        streams.setUncaughtExceptionHandler(
            error -> {
              failure.set(error);
              folded.countDown();
              return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
        long cpu = cpu();
        long began = System.nanoTime();
        streams.start();
        folded.await();
        while (failure.get() == null && committed(admin) < end) {
          Thread.sleep(LOOK_MILLIS);
        }
        long done = System.nanoTime();
        long used = cpu() - cpu;
        if (failure.get() != null) {
          throw new IllegalStateException("the fold failed", failure.get());
        }
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("seconds", (done - began) / 1e9);
        told.put("second_half_seconds", (done - halfway) / 1e9);
        told.put("cpu", used / 1e9);
        told.put("messages", messages);
        tellRows(streams, told);
        return told;
      }
    }

    private Properties settings() {
      Properties settings = new Properties();
      settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
      settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
      settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
      settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
      settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 30_000);
      settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
      settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
      settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
      return settings;
    }

    private long committed(Admin admin) throws Exception {
      var offsets = admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get();
      var found = offsets.get(new TopicPartition(topic, 0));
      return found == null ? 0 : found.offset();
    }

    /** How many refunds there are, and by currency and status how many and how much. */
    private void tellRows(KafkaStreams streams, Map<String, Object> told) {
      var store =
          streams.store(StoreQueryParameters.fromNameAndType(STORE, QueryableStoreTypes.<String, Refund>keyValueStore()));
      long rows = 0;
      Map<String, Long> counts = new TreeMap<>();
      Map<String, BigDecimal> totals = new TreeMap<>();
      try (KeyValueIterator<String, Refund> all = store.all()) {
        while (all.hasNext()) {
          Standing standing = all.next().value.standing();
          if (standing != null) {
            rows++;
            String kind = standing.currency() + " " + standing.status();
            counts.merge(kind, 1L, Long::sum);
            totals.merge(kind, new BigDecimal(standing.total()), BigDecimal::add);
          }
        }
      }
      Map<String, String> sums = new TreeMap<>();
      totals.forEach((kind, total) -> sums.put(kind, counts.get(kind) + " of " + total.toPlainString()));
      told.put("rows", rows);
      told.put("sums", sums);
    }
  }

  private static long cpu() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }

  // --- the fold -----------------------------------------------------------------------------------------------------

  private static final class Fold implements Processor<String, byte[], Void, Void> {
    private static final ObjectReader SETTLEMENT = JSON.readerFor(SettlementChanged.class);
    private static final ObjectReader STATUS = JSON.readerFor(StatusChanged.class);
    private static final ObjectReader SUCCESS = JSON.readerFor(Succeeded.class);

    private final Run run;
    private ProcessorContext<Void, Void> context;
    private KeyValueStore<String, Refund> store;

    Fold(Run run) {
      this.run = run;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      this.context = context;
      store = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      Header type = record.headers().lastHeader("type");
      if (type != null) {
        try {
          fold(new String(type.value(), StandardCharsets.UTF_8), record.value());
        } catch (IOException error) {
          throw new UncheckedIOException(error);
        }
      }
      long seen = ++run.messages;
      if (seen == run.end / 2) {
        run.halfway = System.nanoTime();
      }
      if (context.recordMetadata().orElseThrow().offset() >= run.end - 1) {
        context.commit();
        run.folded.countDown();
      }
    }

    /** Only what is folded is decoded; of everything else the header with its type is looked at. */
    private void fold(String type, byte[] envelope) throws IOException {
      switch (type) {
        case "settlement-changed.v1" -> settle(SETTLEMENT.readValue(envelope));
        case "refund-status-changed.v1" -> stand(STATUS.readValue(envelope));
        case "refund-succeeded.v2" -> arrive(SUCCESS.readValue(envelope));
        default -> {}
      }
    }

    private void settle(SettlementChanged event) {
      for (Claim claim : event.data().claims()) {
        Map<String, Part> after = refunds(claim.after());
        for (String gone : refunds(claim.before()).keySet()) {
          if (!after.containsKey(gone)) {
            keep(event.account(), gone, get(event.account(), gone).withSettled(null));
          }
        }
        for (Part part : after.values()) {
          Refund before = get(event.account(), part.id());
          String due = before.settled() != null ? before.settled().dueAt() : event.recordedAt();
          keep(event.account(), part.id(), before.withSettled(settled(event.data(), claim, part, due)));
        }
      }
    }

    private static Standing settled(SettlementChanged.Data data, Claim claim, Part part, String due) {
      return new Standing(
          claim.claimId(), null, claim.chargeId(), data.invoiceId(), part.net(), part.tax(),
          total(part.net(), part.tax()), data.currency(), part.shownAs(), due, null, null, null, null, null, null,
          null, null);
    }

    private void stand(StatusChanged event) {
      StatusChanged.Data data = event.data();
      Refund before = get(event.account(), data.refundId());
      if (data.after() == null) {
        keep(event.account(), data.refundId(), before.withStands(null));
        return;
      }
      String due = before.standing() != null ? before.standing().dueAt() : event.recordedAt();
      Standing stands =
          new Standing(
              data.claimId(), data.creditId(), data.chargeId(), null, data.net(), data.tax(),
              total(data.net(), data.tax()), data.currency(), data.after(), due, data.attempt(), data.approvedBy(),
              data.approvedAt(), data.submittedAt(), data.settledAt(), data.processorReference(), data.returns(),
              data.heldBy());
      keep(event.account(), data.refundId(), before.withStands(stands));
    }

    private void arrive(Succeeded event) {
      Succeeded.Data data = event.data();
      Refund before = get(event.account(), data.refundId());
      keep(event.account(), data.refundId(), before.withArrived(new Arrived(data.succeededAt(), data.reference())));
    }

    private Refund get(String account, String refund) {
      Refund found = store.get(account + '\0' + refund);
      return found == null ? Refund.NOTHING : found;
    }

    private void keep(String account, String refund, Refund said) {
      if (said.equals(Refund.NOTHING)) {
        store.delete(account + '\0' + refund);
      } else {
        store.put(account + '\0' + refund, said);
      }
    }

    /** A claim's refunds by their ids, each with all that is settled under its id, as settled_parts.py has them. */
    private static Map<String, Part> refunds(List<Part> settled) {
      Map<String, Part> found = new LinkedHashMap<>();
      for (Part part : settled) {
        if (part.into().equals("refund")) {
          found.merge(part.id(), part, Part::together);
        }
      }
      return found;
    }

    private static String total(String net, String tax) {
      return new BigDecimal(net).add(new BigDecimal(tax)).toPlainString();
    }
  }

  // --- what is kept -------------------------------------------------------------------------------------------------

  /** What is known of a refund: by its claim's settlement, by events that say how it stands, and of its arrival. */
  record Refund(Standing settled, Standing stands, Arrived arrived) {
    static final Refund NOTHING = new Refund(null, null, null);

    /** Null where there is no refund: its claim is settled otherwise, or it is not due yet. */
    Standing standing() {
      return stands != null ? stands : settled;
    }

    Refund withSettled(Standing said) {
      return new Refund(said, stands, arrived);
    }

    Refund withStands(Standing said) {
      return new Refund(settled, said, arrived);
    }

    Refund withArrived(Arrived said) {
      return new Refund(settled, stands, said);
    }
  }

  record Standing(
      String claimId, String creditId, String chargeId, String invoiceId, String net, String tax, String total,
      String currency, String status, String dueAt, Integer attempt, String approvedBy, String approvedAt,
      String submittedAt, String settledAt, String processorReference, List<Map<String, Object>> returns,
      String heldBy) {}

  record Arrived(String succeededAt, String processorReference) {}

  private static Serde<Refund> refunds() {
    ObjectReader reader = JSON.readerFor(Refund.class);
    return Serdes.serdeFrom(
        (topic, refund) -> {
          try {
            return refund == null ? null : JSON.writeValueAsBytes(refund);
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        },
        (topic, bytes) -> {
          try {
            return bytes == null ? null : reader.readValue(bytes);
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        });
  }

  // --- what the events say that is folded (src/ledger/events) --------------------------------------------------------

  record SettlementChanged(String account, @JsonProperty("recorded_at") String recordedAt, Data data) {
    record Data(@JsonProperty("invoice_id") String invoiceId, String currency, List<Claim> claims) {}
  }

  record Claim(
      @JsonProperty("claim_id") String claimId,
      @JsonProperty("charge_id") String chargeId,
      List<Part> before,
      List<Part> after) {}

  record Part(String into, String id, String net, String tax, String status) {
    private static final List<String> LEAST_DONE_FIRST = List.of("open", "failed", "rejected", "gone_out");

    Part together(Part other) {
      boolean less = LEAST_DONE_FIRST.indexOf(status) <= LEAST_DONE_FIRST.indexOf(other.status);
      String least = less ? status : other.status;
      return new Part(into, id, Fold.total(net, other.net), Fold.total(tax, other.tax), least);
    }

    String shownAs() {
      return switch (status) {
        case "open" -> "due";
        case "gone_out" -> "succeeded";
        default -> status;
      };
    }
  }

  record StatusChanged(String account, @JsonProperty("recorded_at") String recordedAt, Data data) {
    record Data(
        @JsonProperty("refund_id") String refundId,
        @JsonProperty("claim_id") String claimId,
        @JsonProperty("credit_id") String creditId,
        @JsonProperty("charge_id") String chargeId,
        String currency,
        String after,
        String net,
        String tax,
        int attempt,
        @JsonProperty("approved_by") String approvedBy,
        @JsonProperty("approved_at") String approvedAt,
        @JsonProperty("submitted_at") String submittedAt,
        @JsonProperty("settled_at") String settledAt,
        @JsonProperty("processor_reference") String processorReference,
        List<Map<String, Object>> returns,
        @JsonProperty("held_by") String heldBy) {}
  }

  record Succeeded(String account, Data data) {
    record Data(
        @JsonProperty("refund_id") String refundId,
        @JsonProperty("succeeded_at") String succeededAt,
        @JsonProperty("processor_reference") String reference) {}
  }
}
