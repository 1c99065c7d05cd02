"""Tables as a stream of bytes, a frame at a time: CSV, JSON (a list of objects) and Arrow (IPC stream).

CSV has the bytes that `fedsynth sample` writes. In JSON a missing cell is null.
"""

import io
from collections.abc import Callable, Iterable, Iterator

import pandas as pd
import pyarrow as pa

Encode = Callable[[Iterable[pd.DataFrame]], Iterator[bytes]]


def csv(frames: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    """A heading, then a line a record."""
    for number, frame in enumerate(frames):
        yield frame.to_csv(index=False, header=number == 0, lineterminator="\n").encode()


def json(frames: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    """One list with an object a record."""
    yield b"["
    for number, frame in enumerate(frames):
        text = frame.to_json(orient="records", date_format="iso", double_precision=15)
        yield (("," if number else "") + text[1:-1]).encode()
    yield b"]\n"


def arrow(frames: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    """Arrow's stream format; the first frame fixes the types."""
    sink = io.BytesIO()
    writer: pa.RecordBatchStreamWriter | None = None
    for frame in frames:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if writer is None:
            writer = pa.ipc.new_stream(sink, table.schema)
            schema = table.schema
        writer.write_table(table if table.schema == schema else table.cast(schema))
        yield _taken(sink)
    if writer is not None:
        writer.close()
        yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data


FORMATS: dict[str, tuple[str, Encode]] = {
    "json": ("application/json", json),
    "csv": ("text/csv; charset=utf-8", csv),
    "arrow": ("application/vnd.apache.arrow.stream", arrow),
}
"""Media type and encoder by name."""
