if(TARGET sortie_jsonata)
  add_executable(jsonata_lines ${CMAKE_CURRENT_LIST_DIR}/jsonata_lines.cpp)
  target_link_libraries(jsonata_lines PRIVATE sortie_jsonata)
endif()
