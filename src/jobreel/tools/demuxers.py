"""What a downloaded file may be opened as: an allow-list of demuxers and protocols, for ffmpeg and PyAV alike.

Not on it are formats that name other files or addresses (hls, dash, concat, sdp, image sequences, svg): a
playlist posing as a video had another local file copied into the output with a protocol whitelist alone.
Subtitles and raw sample data are not media that callers send either. Source: ffmpeg -demuxers.
"""

PROTOCOLS = "file,pipe"

VIDEO = "mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi flv asf mpegts mpeg mpegvideo m4v h264 hevc av1 obu ivf mxf"
OLD_VIDEO = "gxf nut dv rm wtv nsv yuv4mpegpipe h263 vc1 mjpeg"
AUDIO = "mp3 aac wav w64 aiff flac ogg amr caf ac3 eac3 dts truehd mlp ape wv tta tak mpc mpc8 au voc dsf loas"
PICTURES = "gif apng png_pipe jpeg_pipe webp_pipe webp_anim bmp_pipe tiff_pipe ppm_pipe jpegxl_pipe jpegxl_anim"

ALLOWED = ",".join(f"{VIDEO} {OLD_VIDEO} {AUDIO} {PICTURES}".split())
