// The console's packed files (api/console_assets.h), as they are. The build says where the pack is.
        .section .rodata
        .balign 16
        .globl sortie_console_begin
        .globl sortie_console_end
sortie_console_begin:
        .incbin SORTIE_CONSOLE_PACK
sortie_console_end:
        .byte 0
        .section .note.GNU-stack, "", %progbits
