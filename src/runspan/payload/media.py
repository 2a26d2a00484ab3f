"""Images, audio, video and files in messages: providers have many shapes for them, the conventions three.

Two of them are used, ``file`` and ``uri``: data are referred to, not recorded.
"""

from typing import Final

from runspan.payload.blobs import Blob, data_url, is_base64, is_data_url
from runspan.payload.message_types import ContentBlock, MessagePart
from runspan.payload.text import text_at

MODALITIES: Final = {
    "audio": "audio",
    "document": "document",
    "file": "document",
    "image": "image",
    "image_url": "image",
    "input_audio": "audio",
    "input_file": "document",
    "input_image": "image",
    "media": "document",
    "text-plain": "document",
    "video": "video",
}


def media_part(block: ContentBlock) -> MessagePart:
    """Return a content block as a ``file`` or ``uri`` part, or as it is if its shape is unknown."""
    source = _source(block)
    mime_type = text_at(source, "mime_type", "media_type") or text_at(block, "mime_type")
    if source.get("type") == "text":  # Anthropic's document of plain text
        return block
    if file_id := text_at(source, "file_id") or (source.get("source_type") == "id" and text_at(source, "id")):
        return _part("file", block, mime_type, file_id=file_id)
    data = source.get("data") or source.get("base64") or source.get("bytes")
    url = text_at(source, "url", "file_data", "file_uri", "file_url", "image_url") or ""
    if isinstance(data, str) and is_data_url(data):
        url = data
    if url and not is_data_url(url):
        return _part("uri", block, mime_type, uri=url)
    blob: Blob | None = None
    if url:
        blob = data_url(url)
    elif data and (isinstance(data, bytes) or (isinstance(data, str) and is_base64(data))):
        blob = Blob(data, mime_type or _type_of_format(source, block))
    if blob is None:
        return block
    return _part("uri", block, blob.mime_type, uri=blob.reference(), size=blob.size)


def _source(block: ContentBlock) -> ContentBlock:
    """Return the dictionary that has the data: under ``source``, under the block's type, or the block."""
    source = block.get("source") or block.get(block["type"])
    if isinstance(source, str):
        return {"url": source}
    if not isinstance(source, dict):
        return block
    # Bedrock has a source below the type, and a format for a MIME type.
    inner = source.get("source")
    return {"format": source.get("format"), **inner} if isinstance(inner, dict) else source


def _part(kind: str, block: ContentBlock, mime_type: str | None, **fields: object) -> MessagePart:
    family = (mime_type or "").partition("/")[0]
    modality = family if family in ("image", "audio", "video") else MODALITIES[block["type"]]
    part = {"type": kind, "modality": modality, **fields}
    if mime_type:
        part["mime_type"] = mime_type
    return part


def _type_of_format(source: ContentBlock, block: ContentBlock) -> str | None:
    """Return the MIME type of a format: ``wav`` of OpenAI's audio; ``png``, ``pdf``, ``mp4`` of what Bedrock takes."""
    name = text_at(source, "format")
    family = MODALITIES[block["type"]]
    if family == "document":
        return _DOCUMENT_TYPES.get(name or "")
    return f"{family}/{name}" if name else None


_DOCUMENT_TYPES: Final = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
